"""Real files, shared by the tests."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lgnet_cli.engines.protocol import Pixels

ROOT = Path(__file__).parent.parent
FIXTURE = Path(__file__).parent / "fixtures" / "official_w8_256"


@pytest.fixture
def photo() -> Callable[..., Pixels]:
    """`photo(height, width, seed)`: a smooth coloured picture with noise, (H, W, 3) uint8 RGB."""

    def make(height: int = 256, width: int = 256, seed: int = 0) -> Pixels:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int64)
        return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def folders(tmp_path: Path, photo: Callable[..., Pixels]) -> Callable[..., tuple[Path, Path]]:
    """`folders(n)`: n PNG photos of 300 x 260 in images/, and their masks, with a rectangle as hole, in masks/."""

    def make(count: int = 3, size: tuple[int, int] = (260, 300)) -> tuple[Path, Path]:
        images, masks = tmp_path / "images", tmp_path / "masks"
        images.mkdir()
        masks.mkdir()
        for i in range(count):
            cv2.imwrite(str(images / f"{i:03}.png"), photo(*size, seed=i)[:, :, ::-1])
            mask = np.zeros(size, np.uint8)
            mask[40 : 90 + i, 50:120] = 255
            cv2.imwrite(str(masks / f"{i:03}.png"), mask)
        return images, masks

    return make


@pytest.fixture
def lgnet() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`lgnet("inpaint", ...)`: the real command in a process of its own."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("lgnet")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """The environment in which s3:// is a server on loopback."""
    moto = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    serving = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    serving.start()
    host, port = serving.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    serving.stop()


@pytest.fixture
def bucket(server: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """An empty bucket of this test's own; s3:// is the server's, here and in the commands that the test runs."""
    import s3fs
    from upath import UPath

    kept = dict(os.environ)
    os.environ.update(server)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"b{time.monotonic_ns()}"
    s3fs.S3FileSystem().mkdir(name)
    yield UPath(f"s3://{name}", use_listings_cache=False)  # others write there
    s3fs.S3FileSystem.clear_instance_cache()
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def official_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream's trio at width 8 as a graph for CPUs; once, for it takes a while."""
    from lgnet_cli.engines.export import export_onnx
    from lgnet_cli.model import load_published

    path = tmp_path_factory.mktemp("graph") / "m.onnx"
    export_onnx(load_published(FIXTURE), path)
    return path


def built_graph(folder: Path, precision: str, size: str) -> Path:
    path = folder / f"w16-{precision}.onnx"
    command = [Path(sys.executable).with_name("lgnet"), "build-engine", f"--{precision}", "--backend", "onnx"]
    done = subprocess.run([*command, "--size", size, "-o", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "against the FP32 PyTorch model: 19 fills of crops of the example photos" in done.stderr
    assert "no NaN, known pixels exact" in done.stderr
    assert done.stdout == f"{path}\n"
    return path


@pytest.fixture(scope="session")
def half_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships for GPUs, in half, for any multiples of 256; by the real command, once: it takes a while."""
    return built_graph(tmp_path_factory.mktemp("graph"), "fp16", "256..512")


@pytest.fixture(scope="session")
def full_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise in float32, for 256 x 256."""
    return built_graph(tmp_path_factory.mktemp("graph"), "fp32", "256")
