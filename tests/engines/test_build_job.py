"""`lgnet build-engine`, the cache and `lgnet doctor --gpu-check`, whole, on a machine with a fake GPU."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_tensorrt import Enumeration, FakeDriver, FakeTensorRT, fake_machine
from onnx import TensorProto, helper
from rich.console import Console

from lgnet_cli.engines.build import NotFused
from lgnet_cli.engines.build_job import BuildJob, run_build
from lgnet_cli.engines.cache import built_once
from lgnet_cli.engines.cost import cost_of
from lgnet_cli.engines.doctor import inventory
from lgnet_cli.engines.libraries import TensorRT
from lgnet_cli.engines.machine import Gpu
from lgnet_cli.engines.nvidia.profile import LANES
from lgnet_cli.engines.plan import read_sidecar, sidecar_of
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.engines.tensorrt import open_plan
from lgnet_cli.engines.verify import Verdict, compare, crops
from lgnet_cli.errors import LgnetError, MissingBackend, ModelError, UsageError
from lgnet_cli.model import LGNet, save
from lgnet_cli.weights import DEFAULT_GRAPH

Said = tuple[Console, io.StringIO]


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
    trt.driver.fails.add("capture")  # so that each batch is computed by a call of its own
    out = run_build(BuildJob(tiny, out=tmp_path / "tiny.plan", batch="1,2,4"), fake_machine(trt), console)
    assert "back end: tensorrt, on this machine's GPU (Fake GPU)" in text.getvalue()
    assert "in half (100 %)" in text.getvalue()
    assert "57 fills of crops of the example photos, over the holes: the worst at inf dB" in text.getvalue()
    sidecar = read_sidecar(out)
    assert (sidecar.flavour, sidecar.version, sidecar.compute_capabilities) == ("tensorrt", "99.1", ["8.9"])
    assert (sidecar.gpu, sidecar.cuda, sidecar.batch, sidecar.precision) == ("Fake GPU", "13.0", [1, 2, 4], "fp16")
    assert (sidecar.weights, sidecar.weights_sha256) == ("tiny.onnx", "ab" * 32)
    # the sixteen crops at each batch of the profile, and nine together, through the plan itself
    assert [b[0] for b in trt.batches] == [1] * 16 + [2] * 8 + [4] * 4 + [4, 4, 1]
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
    run_build(BuildJob(tiny, out=out, keep=True), fake_machine(trt), said[0])
    assert "kept all the same" in said[1].getvalue()
    assert read_sidecar(out).plan_bytes == out.stat().st_size


def off_by_8(filled: Pixels) -> Pixels:
    return np.where(filled == 128, 136, filled).astype(np.uint8)  # what the graph paints into holes


SPOILED: dict[str, Callable[[Pixels, Pixels, int], Pixels]] = {
    "at batch 2": lambda filled, masks, stream: off_by_8(filled) if len(filled) == 2 else filled,
    "at the largest batch": lambda filled, masks, stream: off_by_8(filled) if len(filled) == 4 else filled,
    "in the last of a batch": lambda filled, masks, stream: np.concatenate([filled[:3], off_by_8(filled[3:])]),
    "on the second stream": lambda filled, masks, stream: off_by_8(filled) if stream == 2 else filled,
    "at the largest size": lambda filled, masks, stream: off_by_8(filled) if filled.shape[1] == 512 else filled,
    "in padded batches": lambda filled, masks, stream: filled if masks[-1].any() else off_by_8(filled),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_plan_that_is_wrong_in_one_way_alone_is_refused(
    case: str, tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    """Each of these is right at one batch, on one stream, at one size."""
    trt.spoil = SPOILED[case]
    size = "256..512" if "size" in case else "256"
    batch = "2,4,4" if "padded" in case else "1,2,4"
    job = BuildJob(tiny, out=tmp_path / "tiny.plan", batch=batch, size=size)
    with pytest.raises(ModelError, match=r"refused and not written(.|\n)*--attention float"):
        run_build(job, fake_machine(trt), said[0])
    assert not (tmp_path / "tiny.plan").exists()


@pytest.mark.parametrize(("version", "capability", "named"), [
    ("11.2.1.2", "8.9", True), ("10.0.1", "7.5", True), ("10.0.1", "8.9", False), ("11.4.0.106", "8.9", False),
    ("10.13.3.9", "8.6", True),
])  # fmt: skip
def test_a_version_known_for_wrong_results_is_named(
    version: str, capability: str, *, named: bool, tiny: Path, said: Said, tmp_path: Path
) -> None:
    trt = FakeTensorRT(FakeDriver(), version=version)
    machine = replace(fake_machine(trt), gpu=Gpu("Fake GPU", capability, "13.0", 24 << 30))
    job = BuildJob(tiny, out=tmp_path / "t.plan", attention="products" if version < "10.14" else None, verify=False)
    model = onnx.load(tiny)
    helper.set_model_props(model, {"lgnet.size": "256", "lgnet.attention": job.attention or "fused"})
    onnx.save(model, tiny)
    run_build(job, machine, said[0])
    assert (f"TensorRT {version}: " in said[1].getvalue()) == named
    assert any(part.name == "beware" for part in inventory(machine)) == named


def test_without_a_gpu_tensorrt_rtx_builds_ahead_and_says_what_was_not_run(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    out = run_build(BuildJob(tiny, out=tmp_path / "t.plan"), fake_machine(trt, gpu=False), said[0])
    assert "back end: tensorrt-rtx, ahead of time: no GPU here" in said[1].getvalue()
    assert "the plan itself has not run" in said[1].getvalue()
    assert read_sidecar(out).compute_capabilities == ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"]
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
        (
            BuildJob(backend="tensorrt-rtx", capabilities="75", attention="float"),
            UsageError,
            r"no float32 matrices on Turing(.|\n)*without --attention float",
        ),
        (BuildJob(precision="fp32", attention="fused"), UsageError, "--attention fused: is for --fp16"),
        (BuildJob(backend="torch-tensorrt", attention="products"), UsageError, "takes fused or float"),
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

    assert verdict(nan).nan == int((theirs[3][masks[3] > 0] >= 128).sum()) > 0
    assert not verdict(nan).good

    def infinite(a: np.ndarray) -> None:
        a[3][masks[3] > 0] = 255

    assert verdict(infinite).nan == int((theirs[3][masks[3] > 0] <= 127).sum()) > 0

    def one_nan(a: np.ndarray) -> None:
        row, column = np.argwhere((masks[3] > 0) & (theirs[3].min(axis=-1) >= 128))[0]
        a[3, row, column] = 0

    assert (verdict(one_nan).nan, verdict(one_nan).good) == (3, False)

    def one_crop(a: np.ndarray) -> None:  # over all holes together it would be 45.9 dB
        smallest = int((masks > 0).sum(axis=(1, 2)).argmin())
        a[smallest][masks[smallest] > 0] = (
            np.where(a[smallest][masks[smallest] > 0] > 127, -8, 8) + a[smallest][masks[smallest] > 0]
        )

    assert verdict(one_crop).psnr == pytest.approx(30.07, abs=0.01)  # 20 log10 (255 / 8)
    assert not verdict(one_crop).good

    def one_pixel(a: np.ndarray) -> None:
        row, column = np.argwhere(masks[3] > 0)[0]
        a[3, row, column, 0] = a[3, row, column, 0] ^ 64

    assert verdict(one_pixel).psnr > 45
    assert not verdict(one_pixel).good

    def touched(a: np.ndarray) -> None:
        a[2][masks[2] == 0] ^= 1

    assert not verdict(touched).good
    assert verdict(touched).known == int((masks[2] == 0).sum())


def test_cost_of_the_networks_graph(half_graph: Path) -> None:
    one, four = cost_of(half_graph, 1, 256), cost_of(half_graph, 4, 256)
    assert four.half_flops == 4 * one.half_flops
    assert four.weight_bytes == one.weight_bytes
    scores = sum(2 * 2 * channels * (side * side) ** 2 for side, channels in ((16, 128), (32, 64), (64, 32)))
    assert one.float_flops == 0
    assert one.border_bytes == 256 * 256 * 7
    assert one.peak_bytes < 2 * 4096 * 4096  # the largest level's scores in half: they are never there
    large = cost_of(half_graph, 1, 512)
    convolutions = one.half_flops - scores  # two products over all pairs of positions, at three levels
    assert large.half_flops - 16 * scores == pytest.approx(4 * convolutions, rel=0.01)
    assert large.peak_bytes == pytest.approx(4 * one.peak_bytes, rel=0.01)  # with the pixels, not with their square


def test_what_the_readme_has_built_fits_a_card_of_8_gb(half_graph: Path) -> None:
    assert cost_of(half_graph, 32, 256).device_bytes(LANES) < 1 << 30
    assert cost_of(half_graph, 16, 1024).device_bytes(LANES) < 4 << 30


def test_what_does_not_fit_the_gpu_is_said_before_it_is_built(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    machine = replace(fake_machine(trt), gpu=Gpu("Small GPU", "8.9", "13.0", 16 << 20))
    for backend, capabilities in (("tensorrt", None), ("tensorrt-rtx", None), ("tensorrt-rtx", "89")):
        job = BuildJob(tiny, backend=backend, out=tmp_path / "t.plan", capabilities=capabilities)
        with pytest.raises(UsageError, match=r"16 images of 256 takes about 0\.\d GiB(.|\n)*Small GPU has 0\.0"):
            run_build(job, machine, said[0])
    assert trt.config is None
    run_build(replace(job, capabilities="80,89", verify=False), machine, said[0])  # for others' GPUs too


def test_float32_rounds_to_tf32_unless_that_is_forbidden(
    tiny: Path, tiny_full: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    """Each builder allows it by default, so that a float32 plan has half's mantissas on Ampere and later."""
    for tf32 in (True, False):
        job = BuildJob(tiny_full, precision="fp32", out=tmp_path / "t.plan", tf32=tf32, verify=False)
        run_build(job, fake_machine(trt), said[0])
        assert trt.config is not None
        assert ("TF32" in trt.config.flags) == tf32
        assert ("by TF32" in said[1].getvalue()) == tf32
        said[1].truncate(0)
    for job in (BuildJob(tiny, tf32=False), BuildJob(precision="fp32", tf32=False, backend="onnx")):
        with pytest.raises(UsageError, match="--no-tf32: is for --fp32"):
            run_build(job, fake_machine(trt), said[0])


def test_a_portable_plan_is_built_for_all_gpus_of_its_capability(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    out = tmp_path / "t.plan"
    run_build(BuildJob(tiny, out=out, portable=True), fake_machine(trt), said[0])
    assert trt.config is not None
    assert trt.config.hardware_compatibility_level == "SAME_COMPUTE_CAPABILITY"
    assert read_sidecar(out).portable
    assert " --portable " in read_sidecar(out).rebuild(out)
    run_build(BuildJob(tiny, out=out), fake_machine(trt), said[0])
    assert (trt.config.hardware_compatibility_level, read_sidecar(out).portable) == ("NONE", False)
    trt.HardwareCompatibilityLevel = Enumeration("NONE", "AMPERE_PLUS")  # as TensorRT 10.0 has it
    with pytest.raises(UsageError, match=r"--portable: TensorRT 99\.1 builds for one model of GPU alone"):
        run_build(BuildJob(tiny, out=out, portable=True), fake_machine(trt), said[0])
    with pytest.raises(UsageError, match="--portable: means nothing to --backend tensorrt-rtx"):
        run_build(BuildJob(tiny, out=out, portable=True, backend="tensorrt-rtx"), fake_machine(trt), said[0])


@pytest.mark.slow
def test_a_gpu_without_a_fused_kernel_gets_products_and_is_told(trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    """A graph that was given stays as it is."""
    trt.unfused = True
    weights = tmp_path / "w2.safetensors"
    save(LGNet(2).eval(), weights, {})
    job = BuildJob(weights, out=tmp_path / "w2.plan", verify=False)
    sidecar = read_sidecar(run_build(job, fake_machine(trt), said[0]))
    assert sidecar.attention == "products"
    assert "attention is built as products instead" in said[1].getvalue()
    with pytest.raises(NotFused, match="--attention products"):
        run_build(replace(job, attention="fused"), fake_machine(trt), said[0])


@pytest.mark.parametrize(("version", "form"), [("10.0.1", "products"), ("10.13.3.9", "products"), ("10.14.1", "fused")])
def test_a_tensorrt_that_does_not_parse_the_operator_gets_products(
    version: str, form: str, tiny: Path, said: Said, tmp_path: Path
) -> None:
    model = onnx.load(tiny)
    helper.set_model_props(model, {"lgnet.size": "256", "lgnet.attention": form})
    onnx.save(model, tiny)
    machine = fake_machine(FakeTensorRT(FakeDriver(), version=version))
    job = BuildJob(tiny, out=tmp_path / "w2.plan", verify=False)
    assert read_sidecar(run_build(job, machine, said[0])).attention == form
    if form == "products":
        with pytest.raises(UsageError, match=r"takes TensorRT 10\.14 or later; here is 10\."):
            run_build(replace(job, attention="fused"), machine, said[0])


def test_attention_in_float_is_built_where_it_is_asked_for(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    model = onnx.load(tiny)
    helper.set_model_props(model, {"lgnet.size": "256"})  # as a graph with attention in float32 describes itself
    onnx.save(model, tiny)
    plan = tmp_path / "t.plan"
    job = BuildJob(tiny, out=plan, attention="float", verify=False)
    sidecar = read_sidecar(run_build(job, fake_machine(trt), said[0]))
    assert sidecar.attention == "float"
    assert sidecar.rebuild(plan).endswith(f"--size 256 --attention float -o {plan}")


def test_a_graph_whose_attention_no_kernel_fuses_is_not_taken_for_one_that_is(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    model = onnx.load(tiny)
    helper.set_model_props(model, {"lgnet.size": "multiples of 256"})
    onnx.save(model, tiny)
    job = BuildJob(tiny, out=tmp_path / "t.plan")
    with pytest.raises(UsageError, match=r"its attention is in float32(.|\n)*--attention float"):
        run_build(job, fake_machine(trt), said[0])
    run_build(replace(job, attention="float"), fake_machine(trt), said[0])
