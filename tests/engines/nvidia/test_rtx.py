"""TensorRT-RTX at run time: its compiled kernels are kept, and it is asked before a plan is loaded."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine, paint, plan_bytes

from lgnet_cli.engines.libraries import check_skew
from lgnet_cli.engines.plan import Sidecar, here, write_plan
from lgnet_cli.engines.tensorrt import TensorRtEngine, open_plan
from lgnet_cli.errors import ModelError


def opened(folder: Path, trt: FakeTensorRT, *, flavour: str = "tensorrt-rtx", cache: bool = True) -> TensorRtEngine:
    data = plan_bytes([[n, 256, 256, 3] for n in (1, 4, 4)])
    sidecar = Sidecar(
        plan_sha256=sha256(data).hexdigest(), plan_bytes=len(data), flavour=flavour, version="99.1", platform=here(),
        compute_capabilities=["8.9"], gpu="Fake GPU", cuda="13.0", portable=False,
        batch=[1, 4, 4], side=[256] * 3,
        tensors={}, precision="fp16", half_tensors=187, float_tensors=56, attention="fused", fused_kernels=18,
        onnx_sha256="0" * 64, weights="w.safetensors", weights_sha256="1" * 64, lgnet="0.1",
    )  # fmt: skip
    write_plan(folder / "x.plan", data, sidecar)
    return open_plan(folder / "x.plan", fake_machine(trt), cache=folder if cache else None)


@pytest.fixture
def trt() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


def test_kernels_are_compiled_before_they_run_as_graphs_and_shared_by_both_streams(
    trt: FakeTensorRT, tmp_path: Path
) -> None:
    engine = opened(tmp_path, trt)
    first, second = trt.configs
    assert first is second is not None
    assert first.dynamic_shapes_kernel_specialization_strategy == "EAGER"
    assert first.cuda_graph_strategy == "WHOLE_GRAPH_CAPTURE"
    assert first.cache is not None
    image = np.zeros((3, 256, 256, 3), np.uint8)
    mask = np.full((3, 256, 256), 255, np.uint8)
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))
    engine.close()


def test_compiled_kernels_are_kept_for_the_next_run(trt: FakeTensorRT, tmp_path: Path) -> None:
    opened(tmp_path, trt).close()
    (kept,) = tmp_path.glob("*.kernels")
    assert kept.name.endswith("-Fake-GPU-99.1.kernels")
    assert kept.read_bytes() == b"KERNELS"
    kept.write_bytes(b"KERNELS of before")
    engine = opened(tmp_path, trt)
    assert trt.configs[-1] is not None
    assert trt.configs[-1].cache is not None
    assert trt.configs[-1].cache.data == b"KERNELS of before"
    engine.close()
    assert kept.read_bytes() == b"KERNELS of before"


@pytest.mark.parametrize("content", [b"", b"of another GPU"])
def test_kernels_of_another_gpu_or_a_damaged_file_are_compiled_anew(
    content: bytes, trt: FakeTensorRT, tmp_path: Path
) -> None:
    opened(tmp_path, trt).close()
    (kept,) = tmp_path.glob("*.kernels")
    kept.write_bytes(content)
    opened(tmp_path, trt).close()
    assert kept.read_bytes() == b"KERNELS"


def test_a_folder_that_cannot_be_written_to_costs_time_alone(trt: FakeTensorRT, tmp_path: Path) -> None:
    engine = opened(tmp_path, trt)
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    engine.close()
    assert (trt.driver.pinned, trt.driver.stack()) == (0, [])
    tmp_path.mkdir()
    opened(tmp_path, trt, cache=False).close()
    assert list(tmp_path.glob("*.kernels")) == []


def test_tensorrt_itself_is_not_asked_for_what_it_has_not(trt: FakeTensorRT, tmp_path: Path) -> None:
    opened(tmp_path, trt, flavour="tensorrt").close()
    assert trt.configs == [None, None]
    assert list(tmp_path.glob("*.kernels")) == []


def test_a_plan_that_cannot_run_here_is_refused_before_it_is_loaded(trt: FakeTensorRT, tmp_path: Path) -> None:
    trt.validity = "INVALID"
    with pytest.raises(ModelError, match=r"cannot run it on this GPU: a driver of another kind(.|\n)*build-engine"):
        opened(tmp_path, trt)
    assert trt.deserialized == 0


def test_what_speaks_against_a_plan_that_runs_is_told(trt: FakeTensorRT, tmp_path: Path) -> None:
    assert opened(tmp_path, trt).info.beware == ""
    trt.validity, trt.loading = "SUBOPTIMAL", "Using an engine plan file across different models of devices ..."
    beware = opened(tmp_path, trt).info.beware
    assert beware.startswith("it may be slower than one built for this GPU: a driver of another kind; TensorRT said")
    assert "different models of devices" in beware
    assert "different models of devices" in opened(tmp_path, trt, flavour="tensorrt").info.beware


@pytest.mark.parametrize(("version", "fits"), [
    ("1.7.1.116", True), ("1.7.1", True), ("", True), ("1.7.10.5", False), ("1.8.0.3", False), ("1.7.2.1", False),
])  # fmt: skip
def test_bindings_and_library_of_two_versions_are_not_loaded(version: str, *, fits: bool) -> None:
    library = Path("/site-packages/libtensorrt_rtx.so.1.7.1")
    if fits:
        check_skew(version, library)
    else:
        with pytest.raises(ImportError, match=r"its bindings are .* and its library is libtensorrt_rtx\.so\.1\.7\.1"):
            check_skew(version, library)
