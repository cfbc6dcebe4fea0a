"""On a real NVIDIA GPU: `pytest -m gpu`. Skipped, with the reason, where there is none."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from lgnet_cli.engines.build_job import BuildJob, run_build
from lgnet_cli.engines.cache import built_once
from lgnet_cli.engines.libraries import (
    CAPABILITIES,
    TENSORRT,
    TENSORRT_RTX,
    TORCH_TENSORRT,
    TURING,
    installed,
)
from lgnet_cli.engines.machine import this_machine
from lgnet_cli.engines.nvidia.check import gpu_check
from lgnet_cli.engines.nvidia.profile import parse_profile
from lgnet_cli.engines.plan import read_sidecar
from lgnet_cli.engines.protocol import Ahead
from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.engines.source import open_source, reference
from lgnet_cli.engines.verify import crops, hold
from lgnet_cli.errors import ModelError
from lgnet_cli.weights import DEFAULT_WEIGHTS

MACHINE = this_machine()
CAPABILITY = MACHINE.gpu.capability.replace(".", "") if MACHINE.gpu else ""
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(MACHINE.gpu is None, reason="no NVIDIA driver or GPU here"),
    pytest.mark.filterwarnings("default"),  # torch_tensorrt and pycuda give warnings of their own
]
WAYS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            MACHINE.gpu is not None and not all(map(installed, needs)), reason=f"{needs}: not all installed"
        ),
    )
    for name, needs in (
        (TENSORRT, (TENSORRT,)), (TENSORRT_RTX, (TENSORRT_RTX,)), (TORCH_TENSORRT, (TORCH_TENSORRT,)),
    )
]  # fmt: skip


def need_target(way: str, precision: str = "fp16") -> None:
    """Skip what TensorRT-RTX does not build for: GPUs such as the H100, and float32 on Turing."""
    if way == TENSORRT_RTX and (CAPABILITY not in CAPABILITIES or (CAPABILITY == TURING and precision == "fp32")):
        pytest.skip(f"GPU: TensorRT-RTX builds no {precision} for compute capability {CAPABILITY}")


@pytest.fixture(scope="module", params=WAYS)
def engine_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built and verified: the build itself fails where the engine differs from the model."""
    need_target(request.param)
    out = tmp_path_factory.mktemp("engine") / ("e.pt2" if request.param == TORCH_TENSORRT else "e.plan")
    return run_build(BuildJob(backend=request.param, out=out, batch="1,2,4", verify=True), MACHINE, Console())


def test_it_agrees_with_the_model_at_every_batch(engine_file: Path) -> None:
    engine = open_engine(choose("auto", engine_file), engine=engine_file)
    fill = reference(open_source(None))
    assert hold(engine.fill, fill, read_sidecar(engine_file).profile).good
    images, masks = crops()
    together = engine.fill(images, masks)
    for count in (1, 3, 4, 5, 9):
        part = engine.fill(images[:count], masks[:count])
        assert np.abs(part.astype(int) - together[:count]).max() <= 2  # other tactics round otherwise
        np.testing.assert_array_equal(part[masks[:count] == 0], images[:count][masks[:count] == 0])
    engine.close()
    engine.close()


def test_two_batches_on_their_way_and_graphs_give_the_same(engine_file: Path) -> None:
    engine = open_engine(choose("auto", engine_file), engine=engine_file)
    if not isinstance(engine, Ahead):
        pytest.skip("GPU: torch-tensorrt takes one batch at a time")
    images, masks = crops()
    first, second = (engine.start(list(images[i : i + 4]), list(masks[i : i + 4])) for i in (0, 4))
    together = engine.fill(images[:8], masks[:8])
    for pending, expected in ((first, together[:4]), (second, together[4:])):
        assert np.abs(pending.result().astype(int) - expected).max() <= 1
    alone = [engine.fill(images[:1], masks[:1]) for _ in range(7)]  # sent as they are, captured, and as graphs
    assert all(np.abs(one.astype(int) - alone[0]).max() <= 1 for one in alone)
    assert not engine.captured().startswith("no"), engine.captured()
    engine.close()


def test_pytorch_computes_in_half() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("GPU: this PyTorch has no CUDA")
    engine = open_engine(choose("torch-cuda"))
    assert (engine.info.precision, engine.info.beware) == ("fp16", "")
    assert hold(engine.fill, reference(open_source(None)), parse_profile("1,8,8", "256")).good
    engine.close()


@pytest.mark.parametrize("way", WAYS)
def test_float32_and_several_sizes(way: str, tmp_path: Path) -> None:
    need_target(way, "fp32")
    out = tmp_path / ("e.pt2" if way == TORCH_TENSORRT else "e.plan")
    job = BuildJob(backend=way, precision="fp32", out=out, batch="1,2,4", size="256..512", verify=True)
    engine = open_engine(choose("auto", run_build(job, MACHINE, Console())), engine=out)
    assert hold(engine.fill, reference(open_source(None)), read_sidecar(out).profile).good
    engine.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_engine_is_built_once_into_the_cache(way: str, tmp_path: Path) -> None:
    need_target(way)
    first = built_once(way, DEFAULT_WEIGHTS, tmp_path, MACHINE)
    made = first.stat().st_mtime_ns
    assert built_once(way, DEFAULT_WEIGHTS, tmp_path, MACHINE) == first
    assert first.stat().st_mtime_ns == made
    open_engine(choose("auto", first), engine=first).close()


@pytest.mark.parametrize("way", WAYS)
def test_doctor_checks_it(way: str, tmp_path: Path) -> None:
    need_target(way)
    gpu_check(MACHINE, None, way, tmp_path / "report.json", Console())
    assert json.loads((tmp_path / "report.json").read_text())["good"] is True


def test_beside_torch_in_one_process(engine_file: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    before = torch.ones(1000, device="cuda").sum().item()
    engine = open_engine(choose("auto", engine_file), engine=engine_file)
    images, masks = crops()
    engine.fill(images, masks)
    assert torch.ones(1000, device="cuda").sum().item() == before
    engine.close()
    assert torch.ones(1000, device="cuda").sum().item() == before


def test_an_edited_engine_is_refused(engine_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / engine_file.name
    data = bytearray(engine_file.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    copy.with_name(f"{copy.name}.json").write_bytes(engine_file.with_name(f"{engine_file.name}.json").read_bytes())
    with pytest.raises(ModelError, match="edited"):
        open_engine(choose("auto", copy), engine=copy)


def test_inpaint_runs_it(engine_file: Path, tmp_path: Path, lgnet: object, folders: object) -> None:
    images, masks = folders(5)  # type: ignore[operator]
    out = tmp_path / "out"
    done = lgnet("inpaint", images, masks, "-o", out, "--engine", engine_file, "--batch", 4)  # type: ignore[operator]
    assert done.returncode == 0, done.stderr
    for path in images.iterdir():
        before, after = (cv2.imread(str(folder / path.name)) for folder in (images, out))
        hole = cv2.imread(str(masks / path.name), cv2.IMREAD_GRAYSCALE) > 0
        np.testing.assert_array_equal(before[~hole], after[~hole])
