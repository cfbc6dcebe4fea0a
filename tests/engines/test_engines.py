"""Every back end keeps the contract; choosing one never happens in silence."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lgnet_cli.engines.protocol import Engine
from lgnet_cli.engines.select import choose, cuda_devices, cuda_of_torch, default_for, graph_of, open_engine
from lgnet_cli.engines.torch import TorchEngine, fill_with
from lgnet_cli.engines.verify import compare, crops
from lgnet_cli.errors import EngineError, MissingBackend, ModelError, UsageError
from lgnet_cli.model import LGNet, load, save
from lgnet_cli.weights import DEFAULT_GRAPH, DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = ["onnxruntime", "openvino", "torch"]


def examples() -> tuple[np.ndarray, np.ndarray]:
    """Four real photos and their masks, 256 x 256."""
    images, masks = [], []
    for name in ("astronaut.jpg", "brick.jpg", "chelsea.png", "coffee.jpg"):
        image = cv2.cvtColor(cv2.imread(str(EXAMPLES / "images" / name)), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str((EXAMPLES / "masks" / name).with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
        images.append(cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA))
        masks.append(cv2.resize(mask, (256, 256), interpolation=cv2.INTER_NEAREST))
    return np.stack(images), np.stack(masks)


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """NetL computed everywhere, which no engine on a CPU does."""
    return fill_with(load(DEFAULT_WEIGHTS))(*examples())


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return open_engine(choose(request.param))


def test_all_engines_agree_with_pytorch(engine: Engine, reference: np.ndarray) -> None:
    image, mask = examples()
    filled = engine.fill(image, mask)
    assert np.abs(filled.astype(int) - reference).max() <= 1
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert (filled[mask > 0] != image[mask > 0]).mean() > 0.5


def test_the_result_belongs_to_the_caller(engine: Engine) -> None:
    image, mask = examples()
    before = image.copy()
    first = engine.fill(image[:1], mask[:1])
    kept = first.copy()
    engine.fill(image[1:2], mask[1:2])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(image, before)
    first[:] = 0  # writable


def test_a_batch_is_its_images_one_by_one(engine: Engine) -> None:
    image, mask = examples()
    together = engine.fill(image, mask)
    alone = np.concatenate([engine.fill(image[i : i + 1], mask[i : i + 1]) for i in range(len(image))])
    assert np.abs(together.astype(int) - alone).max() <= 1  # kernels for other batch sizes sum in another order


def test_a_call_that_cannot_work_is_an_engine_error_and_the_engine_goes_on(engine: Engine) -> None:
    image, mask = examples()
    with pytest.raises(EngineError):
        engine.fill(image[:, :100, :100], mask[:, :100, :100])
    assert engine.fill(image[:1], mask[:1]).shape == (1, 256, 256, 3)


def test_info_names_the_weights_and_closing_twice_is_fine(engine: Engine) -> None:
    assert engine.info.weights_sha256 == sha256(DEFAULT_WEIGHTS)
    assert engine.info.backend in NAMES
    assert engine.info.sizes == "multiples of 256"
    engine.close()
    engine.close()


def test_auto_says_what_and_why() -> None:
    choice = choose("auto")
    assert choice.name == ("torch-cuda" if cuda_devices() and cuda_of_torch() else "onnxruntime")
    assert choice.why


@pytest.mark.parametrize(
    ("devices", "driver", "torch", "name", "why"),
    [
        (0, "0.0", "", "onnxruntime", "the default on a CPU"),
        (1, "13.0", None, "onnxruntime", "the default on a CPU"),
        (1, "13.0", "", "onnxruntime", "the PyTorch that is installed is for CPUs alone"),
        (1, "12.8", "13.0", "onnxruntime", "PyTorch is for CUDA 13.0, and the driver serves CUDA 12.8: update it"),
        (1, "12.4", "12.8", "torch-cuda", "a CUDA device is here"),  # minor versions run on one another
        (2, "13.0", "12.8", "torch-cuda", "a CUDA device is here"),
    ],
)
def test_beside_a_gpu_pytorch_is_taken_where_it_can_use_it(
    devices: int, driver: str, torch: str | None, name: str, why: str
) -> None:
    choice = default_for(devices, driver, torch)
    assert choice.name == name
    assert why in choice.why


def test_what_cuda_pytorch_is_for_is_read_and_not_imported(tmp_path: Path) -> None:
    assert cuda_of_torch() == (torch.version.cuda or "")
    spec = importlib.machinery.ModuleSpec("torch", None, is_package=True)
    assert cuda_of_torch(spec) is None  # a folder that is no package
    spec.submodule_search_locations = [str(tmp_path)]
    assert cuda_of_torch(spec) == ""
    for line, cuda in (("cuda: Optional[str] = '13.0'", "13.0"), ("cuda = '12.8'", "12.8"), ("cuda = None", "")):
        (tmp_path / "version.py").write_text(f"debug = False\n{line}\nhip: Optional[str] = '6.0'\n")
        assert cuda_of_torch(spec) == cuda


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'onnx'.*\n.*auto, onnxruntime, openvino, torch, torch-cuda, tensorrt"):
        choose("onnx")


def test_a_missing_back_end_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # as on a machine without it
    with pytest.raises(MissingBackend, match=r"openvino is not installed.*\n.*pip install 'lgnet\[openvino\]'"):
        choose("openvino")


@pytest.mark.slow
def test_pytorch_in_half_is_held_against_float32_when_it_is_loaded(tmp_path: Path) -> None:
    """As a GPU runs it, in a CPU's real half arithmetic; a tame model, since random weights magnify rounding."""
    torch.manual_seed(0)
    model = LGNet(2).eval()
    save(model, tmp_path / "w2.safetensors", {})
    engine = TorchEngine(tmp_path / "w2.safetensors", half=True)
    assert (engine.info.precision, engine.info.beware) == ("fp16", "")
    images, masks = crops()
    full = TorchEngine(tmp_path / "w2.safetensors")
    assert full.info.precision == "fp32"
    verdict = compare(engine.fill(images, masks), full.fill(images, masks), images, masks)
    assert verdict.good
    assert verdict.off > 0 or verdict.psnr > 60  # it did compute in half


@pytest.mark.slow
def test_weights_that_half_cannot_compute_run_in_float32_and_say_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LGNet(2).eval()
    with torch.no_grad():
        model.coarse.down[1].conv.weight *= 1e6  # beyond 65504, where half ends
    save(model, tmp_path / "w2.safetensors", {})
    engine = TorchEngine(tmp_path / "w2.safetensors", half=True)
    assert engine.info.precision == "fp32"
    assert "half cannot compute these weights, so float32 does, which is slower" in engine.info.beware
    images, masks = crops()
    full = TorchEngine(tmp_path / "w2.safetensors")
    assert compare(engine.fill(images, masks), full.fill(images, masks), images, masks).good


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device")
def test_cuda_without_a_device_is_an_error_not_a_fallback() -> None:
    with pytest.raises(MissingBackend, match="sees no CUDA device"):
        open_engine(choose("torch-cuda"))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_broken_graph_is_a_model_error(backend: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx"):
        open_engine(choose(backend), engine=tmp_path / "x.onnx")


def test_missing_files_and_wrong_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: no such file"):
        open_engine(choose("onnxruntime"), engine=tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"none\.safetensors: cannot be read"):
        open_engine(choose("onnxruntime"), weights=tmp_path / "none.safetensors")
    with pytest.raises(UsageError, match="runs weights, not graphs"):
        open_engine(choose("torch"), engine=DEFAULT_GRAPH)


@pytest.mark.slow
def test_weights_without_a_graph_are_exported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weights = tmp_path / "w2.safetensors"
    save(LGNet(2), weights, {})
    engine = open_engine(choose("onnxruntime"), weights=weights)
    assert engine.info.weights_sha256 == sha256(weights)
    graph = graph_of(weights)
    made = graph.stat().st_mtime_ns
    assert graph.parent == tmp_path / "cache" / "lgnet"
    open_engine(choose("onnxruntime"), weights=weights)
    assert graph.stat().st_mtime_ns == made


def test_a_graph_of_other_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(DEFAULT_GRAPH.read_bytes())
    (tmp_path / DEFAULT_WEIGHTS.name).write_bytes(DEFAULT_WEIGHTS.read_bytes())  # the graph's numbers
    save(LGNet(2), tmp_path / "m.safetensors", {})
    with pytest.raises(ModelError, match="was made from other weights"):
        open_engine(choose("onnxruntime"), weights=tmp_path / "m.safetensors")
