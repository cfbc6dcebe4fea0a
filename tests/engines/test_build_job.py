"""`lgnet build-engine`, the cache and `lgnet doctor --gpu-check`, whole, on a machine with a fake GPU."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine
from onnx import TensorProto, helper
from rich.console import Console

from lgnet_cli.engines.build_job import BuildJob, run_build
from lgnet_cli.engines.cache import built_once
from lgnet_cli.engines.cost import cost_of
from lgnet_cli.engines.doctor import gpu_check, inventory
from lgnet_cli.engines.libraries import TensorRT
from lgnet_cli.engines.plan import read_sidecar, sidecar_of
from lgnet_cli.engines.tensorrt import open_plan
from lgnet_cli.engines.verify import Verdict, compare, crops
from lgnet_cli.errors import EngineError, LgnetError, MissingBackend, ModelError, UsageError
from lgnet_cli.weights import DEFAULT_GRAPH

Said = tuple[Console, io.StringIO]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A graph like ours but quick: it fills holes with grey, in half."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["mask"], ["holes"], to=TensorProto.FLOAT16),
        helper.make_node("Greater", ["holes", "zero"], ["is_hole"]),
        helper.make_node("Unsqueeze", ["is_hole", "last"], ["hole"]),
        helper.make_node("Mul", ["pixels", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "grey"], ["drawn"]),
        helper.make_node("Where", ["hole", "drawn", "pixels"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["filled"], to=TensorProto.UINT8),
    ]
    stored = [
        helper.make_tensor("zero", TensorProto.FLOAT16, [1], [0.0]),
        helper.make_tensor("grey", TensorProto.FLOAT16, [3], np.array([90, 128, 200], np.float16)),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
    ]
    image, filled = (
        helper.make_tensor_value_info(n, TensorProto.UINT8, ["n", "h", "w", 3]) for n in ("image", "filled")
    )
    mask = helper.make_tensor_value_info("mask", TensorProto.UINT8, ["n", "h", "w"])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image, mask], [filled], stored),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
    )  # fmt: skip
    helper.set_model_props(model, {"lgnet.size": "multiples of 256", "lgnet.weights_sha256": "ab" * 32})
    path = tmp_path / "tiny.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def trt() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


@pytest.fixture
def said() -> Said:
    text = io.StringIO()
    return Console(file=text, width=400, soft_wrap=True, highlight=False), text


def test_on_a_gpu_tensorrt_builds_verifies_and_writes(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    console, text = said
    out = run_build(BuildJob(tiny, out=tmp_path / "tiny.plan", batch="1,2,4"), fake_machine(trt), console)
    assert "back end: tensorrt, on this machine's GPU (Fake GPU)" in text.getvalue()
    assert "in half (100 %)" in text.getvalue()
    assert "16 crops of the example photos, over the holes: inf dB" in text.getvalue()
    sidecar = read_sidecar(out)
    assert (sidecar.flavour, sidecar.version, sidecar.compute_capabilities) == ("tensorrt", "99.1", ["8.9"])
    assert (sidecar.gpu, sidecar.cuda, sidecar.batch, sidecar.precision) == ("Fake GPU", "13.0", [1, 2, 4], "fp16")
    assert (sidecar.weights, sidecar.weights_sha256) == ("tiny.onnx", "ab" * 32)
    assert [b[0] for b in trt.batches] == [4] * 4  # the sixteen crops, through the plan itself
    trt.driver.detached = False
    engine = open_plan(out, fake_machine(trt))
    assert engine.info.weights_sha256 == "ab" * 32
    images, masks = crops()
    assert set(np.unique(engine.fill(images, masks)[masks > 0][:, 1])) == {128}


def test_a_wrong_engine_is_not_written_unless_it_is_to_be_kept(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    trt.fails.add("wrong")
    out = tmp_path / "tiny.plan"
    out.write_text("an older one")
    with pytest.raises(ModelError, match=r"tiny\.plan: refused and not written: .* dB(.|\n)*--keep"):
        run_build(BuildJob(tiny, out=out), fake_machine(trt), said[0])
    assert out.read_text() == "an older one"
    assert not sidecar_of(out).exists()
    trt.driver.detached = False
    run_build(BuildJob(tiny, out=out, keep=True), fake_machine(trt), said[0])
    assert "kept all the same" in said[1].getvalue()
    assert read_sidecar(out).plan_bytes == out.stat().st_size


def test_without_a_gpu_tensorrt_rtx_builds_ahead_and_says_what_was_not_run(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    out = run_build(BuildJob(tiny, out=tmp_path / "t.plan"), fake_machine(trt, gpu=False), said[0])
    assert "back end: tensorrt-rtx, ahead of time: no GPU here" in said[1].getvalue()
    assert "the plan itself has not run" in said[1].getvalue()
    assert read_sidecar(out).compute_capabilities == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert trt.deserialized == 0


def test_graphs_are_written_for_others_and_no_verify_is_heeded(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    out = run_build(BuildJob(tiny, backend="onnx", out=tmp_path / "g.onnx"), fake_machine(trt), said[0])
    assert out.read_bytes() == tiny.read_bytes()
    run_build(BuildJob(tiny, out=tmp_path / "t.plan", verify=False), fake_machine(trt), said[0])
    assert trt.deserialized == 0


@pytest.mark.parametrize(
    ("job", "error", "words"),
    [
        (BuildJob(size="300"), UsageError, "multiple of 256"),
        (BuildJob(backend="tensorrt", capabilities="89"), UsageError, "--sm: means nothing to --backend tensorrt"),
        (BuildJob(backend="tensorrt-rtx", timing_cache=Path("c")), UsageError, "--timing-cache: means nothing"),
        (BuildJob(backend="onnx", workspace=1.0), UsageError, "it takes none of them"),
        (BuildJob(backend="tensorrt-rtx", capabilities="90"), UsageError, "--sm 90: expected some of 75,80"),
        (
            BuildJob(backend="tensorrt-rtx", precision="fp32", capabilities="75,80"),
            UsageError,
            "no float32 matrices on Turing",
        ),
        (BuildJob(backend="nothing"), UsageError, "there are: tensorrt, tensorrt-rtx, torch-tensorrt, onnx"),
        (BuildJob(backend="tensorrt-rtx", capabilities=""), UsageError, "--sm : expected some of 75,80"),
        (BuildJob(batch="1,8,1024", size="256..1024"), UsageError, "14 GiB of pictures at once"),
        (BuildJob(backend="onnx", size="768", verify=True), UsageError, "--verify: a graph of over 512 pixels"),
        (BuildJob(out=Path("x.onnx")), UsageError, r"told by its suffix(.|\n)*call it x\.plan"),
        (BuildJob(out=Path("no/such/x.plan")), UsageError, r"no/such/x\.plan: cannot be written there"),
        (BuildJob(timing_cache=Path("/")), UsageError, "/: cannot be written there"),
        (BuildJob(Path("none.onnx")), ModelError, "none.onnx: cannot be read as ONNX"),
        (BuildJob(Path("none.safetensors")), ModelError, "none.safetensors: cannot be read: No such file"),
        (BuildJob(DEFAULT_GRAPH), UsageError, "lgnet-w16.onnx: a graph for CPUs"),
        (BuildJob(Path("none")), ModelError, "a published model is three files"),
    ],
)
def test_what_cannot_be_is_refused_before_a_builder_starts(
    job: BuildJob, error: type[LgnetError], words: str, trt: FakeTensorRT, said: Said
) -> None:
    with pytest.raises(error, match=words):
        run_build(job, fake_machine(trt), said[0])
    assert trt.config is None


def test_a_graph_of_another_precision_does_not_pass(tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    for backend in ("onnx", "tensorrt"):
        job = BuildJob(tiny, precision="fp32", backend=backend)
        with pytest.raises(UsageError, match=r"its convolutions are fp16, not fp32(.|\n)*--fp16"):
            run_build(job, fake_machine(trt), said[0])
    model = onnx.load(tiny)
    far = model.graph.initializer[0]
    far.data_location = TensorProto.EXTERNAL
    far.external_data.add(key="location", value="/etc/hostname")
    (tmp_path / "far.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="reads weights out of other files"):
        run_build(BuildJob(tmp_path / "far.onnx", out=tmp_path / "x.plan"), fake_machine(trt), said[0])


def test_tensorrt_that_does_not_load_is_not_taken(tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    def tensorrt(flavour: str) -> TensorRT:
        if flavour == "tensorrt":
            raise MissingBackend("tensorrt cannot be used here: libnvinfer.so.11: cannot open")
        return trt  # type: ignore[return-value]

    machine = replace(fake_machine(trt), tensorrt=tensorrt)
    run_build(BuildJob(tiny, out=tmp_path / "t.plan", verify=False), machine, said[0])
    assert "back end: tensorrt-rtx, ahead of time: tensorrt cannot be used here: libnvinfer" in said[1].getvalue()


def test_what_needs_a_gpu_says_so(tiny: Path, trt: FakeTensorRT, said: Said) -> None:
    machine = fake_machine(trt, gpu=False)
    for backend in ("tensorrt", "torch-tensorrt"):
        with pytest.raises(MissingBackend, match=r"builds only on the GPU(.|\n)*tensorrt-rtx"):
            run_build(BuildJob(backend=backend), machine, said[0])
    with pytest.raises(MissingBackend, match=r"--verify: this machine cannot run(.|\n)*lgnet doctor --gpu-check"):
        run_build(BuildJob(backend="tensorrt-rtx", verify=True), machine, said[0])
    with pytest.raises(MissingBackend, match="tensorrt-rtx cannot be used here"):
        run_build(BuildJob(tiny), fake_machine(gpu=False, missing=("tensorrt-rtx",)), said[0])


def test_the_cache_builds_once_for_weights_gpu_and_version(tiny: Path, said: Said, tmp_path: Path) -> None:
    def built(version: str) -> Path:
        trt = FakeTensorRT(FakeDriver(), version=version)
        return built_once("tensorrt", tiny, tmp_path, fake_machine(trt))

    first = built("99.1")
    made = first.stat().st_mtime_ns
    assert built("99.1") == first
    assert first.stat().st_mtime_ns == made
    assert built("99.2") != first
    assert {p.suffix for p in tmp_path.glob("*.plan*")} == {".plan", ".json", ".lock"}
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    assert built("99.1").read_bytes() == whole
    with pytest.raises(MissingBackend, match="no GPU here"):
        built_once("tensorrt", tiny, tmp_path, fake_machine(gpu=False))


def test_gpu_check_writes_a_report_also_when_it_fails(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    gpu_check(fake_machine(trt), tiny, None, report, said[0], runs=2)
    found = json.loads(report.read_text())
    assert found["good"] is True
    assert found["sidecar"]["flavour"] == "tensorrt"
    assert set(found["milliseconds a call, copies included"]) == {"1", "8", "16"}
    assert found["machine"]["GPU"] == "Fake GPU, compute capability 8.9, 24 GiB"
    assert "error" not in found
    trt.fails.add("wrong")
    trt.driver.detached = False
    with pytest.raises(ModelError, match="differs from the model"):
        gpu_check(fake_machine(trt), tiny, None, report, said[0], runs=2)
    assert "differs from the model" in json.loads(report.read_text())["error"]
    trt.driver.detached = False
    trt.driver.fails.add("memcpy_dtoh_async")
    with pytest.raises(EngineError):
        gpu_check(fake_machine(trt), tiny, None, report, said[0], runs=2)
    assert "illegal memory access" in json.loads(report.read_text())["error"]
    trt.config = None
    with pytest.raises(MissingBackend, match="pycuda"):
        gpu_check(fake_machine(trt, missing=("pycuda",)), tiny, None, report, said[0], runs=2)
    assert trt.config is None  # nothing was built for it
    with pytest.raises(MissingBackend, match="no GPU here"):
        gpu_check(fake_machine(gpu=False), tiny, None, report, said[0], runs=2)
    assert "no GPU here" in json.loads(report.read_text())["error"]


def test_the_inventory_says_what_is_missing_and_how_to_get_it() -> None:
    parts = {p.name: p for p in inventory(fake_machine(gpu=False, missing=("tensorrt",)))}
    assert parts["tensorrt"].found == ""
    assert parts["tensorrt"].mend.startswith("install it")
    assert parts["tensorrt-rtx"].found == "99.1"
    assert parts["GPU"].found == ""
    assert parts["ONNX Runtime"].found


def test_a_verdict_sees_noise_nan_and_touched_pixels() -> None:
    images, masks = crops()
    rng = np.random.default_rng(0)
    theirs = np.where(masks[..., None] > 0, rng.integers(0, 256, images.shape, dtype=np.uint8), images)

    def verdict(change: Callable[[np.ndarray], None]) -> Verdict:
        ours = theirs.copy()
        change(ours)
        return compare(ours, theirs, images, masks)

    assert verdict(lambda a: None).good

    def one_off(a: np.ndarray) -> None:
        a[masks > 0] ^= 1

    assert verdict(one_off).psnr == pytest.approx(48.13, abs=0.01)  # 20 log10 255: a difference of 1 everywhere
    assert verdict(one_off).good

    def two_off(a: np.ndarray) -> None:
        a[masks > 0] ^= 2

    assert not verdict(two_off).good

    def nan(a: np.ndarray) -> None:
        a[3][masks[3] > 0] = 0

    assert verdict(nan).nan == int((theirs[3][masks[3] > 0] >= 64).sum()) > 0
    assert not verdict(nan).good

    def one_nan(a: np.ndarray) -> None:
        row, column = np.argwhere((masks[3] > 0) & (theirs[3].min(axis=-1) >= 64))[0]
        a[3, row, column] = 0

    assert verdict(one_nan).psnr > 45
    assert (verdict(one_nan).nan, verdict(one_nan).good) == (3, False)

    def touched(a: np.ndarray) -> None:
        a[2][masks[2] == 0] ^= 1

    assert not verdict(touched).good
    assert verdict(touched).known == int((masks[2] == 0).sum())


def test_cost_of_the_networks_graph(half_graph: Path) -> None:
    one, four = cost_of(half_graph, 1, 256), cost_of(half_graph, 4, 256)
    assert four.half_flops == 4 * one.half_flops
    assert four.weight_bytes == one.weight_bytes
    scores = sum(2 * 2 * channels * (side * side) ** 2 for side, channels in ((16, 128), (32, 64), (64, 32)))
    assert one.float_flops == scores  # two products over all pairs of positions, at three levels: attention's island
    assert one.border_bytes == 256 * 256 * 7
    assert one.peak_bytes > 4 * 4096 * 4096  # the largest level's scores in float32
    large = cost_of(half_graph, 1, 512)
    assert large.half_flops == pytest.approx(4 * one.half_flops, rel=0.01)
    assert large.float_flops == 16 * one.float_flops
