"""Real builds by TensorRT-RTX, which needs no GPU; and, on the fake builder, what only a GPU's TensorRT would do."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from fake_tensorrt import FakeDriver, FakeTensorRT
from onnx import TensorProto, helper

from lgnet_cli.engines.build import Built, Count, NotFused, Order, build_plan, check_count, check_fused
from lgnet_cli.engines.export import export_onnx
from lgnet_cli.engines.libraries import CAPABILITIES, TENSORRT_RTX, TensorRT, load_tensorrt
from lgnet_cli.engines.nvidia.forms import Form, knows_attention
from lgnet_cli.engines.nvidia.profile import Profile, parse_profile
from lgnet_cli.engines.plan import read_sidecar
from lgnet_cli.errors import ModelError, UsageError
from lgnet_cli.model import LGNet, load, save
from lgnet_cli.weights import DEFAULT_WEIGHTS


class Heard:
    """Satisfies `Progress`."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.open = 0
        self.steps = 0

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self.phases.append(phase)
        self.open += 1

    def step(self, phase: str, step: int) -> None:
        self.steps += 1

    def finish(self, phase: str) -> None:
        self.open -= 1


@pytest.fixture(scope="module")
def rtx() -> TensorRT:
    return load_tensorrt(TENSORRT_RTX)


def built(rtx: TensorRT, graph: Path, order: Order | None = None, heard: Heard | None = None) -> Built:
    return build_plan(rtx, graph, order or half(), heard or Heard())


def half(batch: str = "1,1,2", size: str = "256", sm: tuple[str, ...] = ("89",)) -> Order:
    return Order("fp16", parse_profile(batch, size), sm)


def test_half_precision_for_several_gpus(rtx: TensorRT, half_graph: Path) -> None:
    heard = Heard()
    result = built(rtx, half_graph, half("1,8,32", sm=CAPABILITIES), heard)
    assert (result.count.half, result.count.floating) == (188, 247)
    assert result.count.attention == 3
    assert result.fused_kernels == 18  # by the name that TensorRT-RTX 1.7 gives them: nine for each profile
    assert result.count.float_convolutions == []
    assert result.plan.nbytes > half_graph.stat().st_size  # the weights in half are in it
    assert "Building engine" in heard.phases
    assert heard.open == 0
    assert heard.steps > 50


@pytest.mark.parametrize(
    ("batch", "size", "kernels"), [("1", "256", 9), ("1", "512", 9), ("2", "256", 9), ("1,1,2", "256..512", 18)]
)
def test_attention_is_fused_at_fixed_and_at_small_batches(
    rtx: TensorRT, half_graph: Path, batch: str, size: str, kernels: int
) -> None:
    assert built(rtx, half_graph, half(batch, size, sm=("75", "89"))).fused_kernels == kernels


def test_float32_and_that_neither_passes_for_the_other(rtx: TensorRT, full_graph: Path, half_graph: Path) -> None:
    full = Order("fp32", parse_profile("1", "256"), ("89",))
    result = built(rtx, full_graph, full)
    assert (result.count.half, result.count.floating) == (0, 219)
    assert result.plan.nbytes > full_graph.stat().st_size
    with pytest.raises(ModelError, match=r"asked for fp16, but 0 of 219 (.|\n)*over 60 %(.|\n)*build-engine"):
        built(rtx, full_graph)
    with pytest.raises(ModelError, match=r"asked for fp32, but 188 of 247"):
        built(rtx, half_graph, full)


def test_dynamic_sizes_and_a_profile_that_is_not_consistent(rtx: TensorRT, half_graph: Path) -> None:
    assert built(rtx, half_graph, half(size="256..512")).count.share > 0.6
    order = replace(half(), profile=Profile((1, 1, 1), (256, 256, 384)))  # past the check of the command line
    with pytest.raises(UsageError, match="not self-consistent"):
        built(rtx, half_graph, order)


@pytest.mark.parametrize(
    ("form", "types", "kernels"),
    [("products", (179, 232), 12), pytest.param("float", (155, 226), 0, marks=pytest.mark.slow)],
)
def test_attention_in_float_is_fused_by_nothing_and_products_are_where_they_are_recognised(
    rtx: TensorRT, form: Form, types: tuple[int, int], kernels: int, tmp_path: Path
) -> None:
    graph = tmp_path / "g.onnx"
    export_onnx(load(DEFAULT_WEIGHTS), graph, precision="fp16", size=256, slices=1, windows=False, attention=form)
    result = built(rtx, graph)
    assert (result.count.half, result.count.floating) == types
    assert (result.count.attention, result.fused_kernels) == (0, kernels)


def test_a_head_that_no_kernel_takes_is_named(rtx: TensorRT, tmp_path: Path) -> None:
    """512 channels; lgnet's own graphs have products there."""
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Reshape", ["half", "shape"], ["q"]),
        helper.make_node("Attention", ["q", "q", "q"], ["mixed"], scale=1.0, name="wide"),
        helper.make_node("Reshape", ["mixed", "back"], ["out"]),
        helper.make_node("Cast", ["out"], ["filled"], to=TensorProto.UINT8),
    ]
    shapes = {"shape": [-1, 1, 384, 512], "back": [-1, 256, 256, 3]}
    stored = [helper.make_tensor(name, TensorProto.INT64, [4], shape) for name, shape in shapes.items()]
    graph = graph_of(tmp_path, nodes, *stored, opset=23)
    with pytest.raises(NotFused, match=r"no fused kernel(.|\n)*--attention products"):
        built(rtx, graph)


def test_a_plan_without_the_kernels_of_its_attention_is_refused() -> None:
    count = Count(181, 237, [], attention=3)
    check_fused(Path("g.onnx"), count, 3)
    with pytest.raises(ModelError, match="3 attentions to fuse, but 0 fused attention kernels"):
        check_fused(Path("g.onnx"), count, 0)


def test_tensorrt_knows_the_operator_since_10_14() -> None:
    assert [knows_attention(v) for v in ("10.0.1", "10.13.3.9", "10.14.1.48", "11.4.0.106")] == [
        False,
        False,
        True,
        True,
    ]


def test_a_warning_that_is_an_error_is_not_lost_among_others(full_graph: Path) -> None:
    trt = FakeTensorRT(FakeDriver())
    trt.says = ["the profile is not self-consistent: 3 does not divide", *(f"warning {i}" for i in range(300))]
    with pytest.raises(UsageError, match="3 does not divide"):
        build_plan(trt, full_graph, Order("fp32", parse_profile("1", "256")), Heard())  # type: ignore[arg-type]


def graph_of(folder: Path, nodes: list[onnx.NodeProto], *stored: onnx.TensorProto, opset: int = 18) -> Path:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 256, 256, 3])
    mask = helper.make_tensor_value_info("mask", TensorProto.UINT8, ["n", 256, 256])
    filled = helper.make_tensor_value_info("filled", TensorProto.UINT8, ["n", 256, 256, 3])
    graph = helper.make_graph(nodes, "g", [image, mask], [filled], list(stored))
    path = folder / "made.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), path)
    return path


def test_an_unsupported_op_and_mixed_types_are_named_by_their_node(rtx: TensorRT, tmp_path: Path) -> None:
    cast = helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16)
    back = helper.make_node("Cast", ["out"], ["filled"], to=TensorProto.UINT8)
    strange = helper.make_node("NoSuchOp", ["half"], ["out"], name="the_strange_one", domain="")
    with pytest.raises(ModelError, match=r"made\.onnx: TensorRT cannot parse it: node 'the_strange_one' \(NoSuchOp\)"):
        built(rtx, graph_of(tmp_path, [cast, strange, back]))
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    mixed = helper.make_node("Add", ["half", "one"], ["out"], name="the_mixed_one")
    with pytest.raises(ModelError, match=r"the_mixed_one(.|\n)*Half"):
        built(rtx, graph_of(tmp_path, [cast, mixed, back], one))


def test_no_graph_at_all(rtx: TensorRT, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"x\.onnx: TensorRT cannot parse it"):
        built(rtx, tmp_path / "x.onnx")


@pytest.mark.slow
def test_the_papers_width(tmp_path: Path) -> None:
    """By the command, from weights to plans with their sidecars, for every GPU that TensorRT-RTX builds for."""
    torch.manual_seed(0)
    save(LGNet(64).eval(), tmp_path / "w64.safetensors", {})
    for name, options in {"w64.plan": [], "sizes.plan": ["--size", "256..1024", "--no-verify"]}.items():
        command = [Path(sys.executable).with_name("lgnet"), "build-engine", "w64.safetensors", "--fp16", "-o", name]
        done = subprocess.run(
            [*command, "--backend", "tensorrt-rtx", *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "2 of them, 12 fused attention kernels in the plan" in done.stderr  # the third level's head is too wide
        assert ("against the FP32 PyTorch model: " in done.stderr) == ("--no-verify" not in options)
        sidecar = read_sidecar(tmp_path / name)
        assert sidecar.plan_bytes > 2 * 114e6  # 114.97 M parameters in half
        assert (sidecar.weights, sidecar.fused_kernels) == ("w64.safetensors", 12)
        assert sidecar.compute_capabilities == ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"]


@pytest.mark.slow
def test_the_model_that_ships_at_several_sizes(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("lgnet"), "build-engine", "--fp16", "-o", "sizes.plan", "--no-verify"]
    done = subprocess.run(
        [*command, "--backend", "tensorrt-rtx", "--size", "256..1024"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "3 of them, 18 fused attention kernels in the plan" in done.stderr


@pytest.mark.parametrize(
    ("batch", "size", "words"),
    [
        ("0", "256", "rising"), ("8,1,16", "256", "rising"), ("1,2", "256", "rising"), ("1,8,2000", "256", "rising"),
        ("x", "256", "not numbers"), ("-1", "256", "not numbers"), ("1", "300", "multiple of 256"),
        ("1", "0", "multiple of 256"), ("1", "512..256", "multiple of 256"), ("1", "256..384", "multiple of 256"),
        ("1", "256..512..768", "multiple of 256"), ("1", "8192", "up to 4096"), ("1", "", "not numbers"),
    ],
)  # fmt: skip
def test_profiles_are_checked_before_any_builder_starts(batch: str, size: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_profile(batch, size)


def test_profiles_as_they_are_written() -> None:
    assert parse_profile("8", "256") == Profile((8, 8, 8), (256, 256, 256))
    assert parse_profile("1,8,32", "256..1024") == Profile((1, 8, 32), (256, 256, 1024))
    assert parse_profile("1", "512").sizes == "512"
    assert parse_profile("1", "256..512").sizes == "256..512"


def test_a_convolution_in_float_is_not_half_precision() -> None:
    count = Count(200, 220, ["node_conv_3"])
    with pytest.raises(ModelError, match="these convolve in float32: node_conv_3"):
        check_count(Path("g.onnx"), count, "fp16")
    check_count(Path("g.onnx"), Count(200, 220, []), "fp16")


@pytest.fixture
def fake() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


def test_options_reach_the_builder(fake: FakeTensorRT, half_graph: Path, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    cache.write_bytes(b"old ")
    order = Order("fp16", parse_profile("1,2,4", "256"), ("89", "120"), 1.5, 5, cache)
    result = build_plan(fake, half_graph, order, Heard())  # type: ignore[arg-type]
    assert fake.config is not None
    assert fake.config.pools == {"WORKSPACE": 1610612736}
    assert fake.config.builder_optimization_level == 5
    assert fake.config.capabilities == ["SM89", "SM120"]
    assert [profile["mask"] for profile in fake.config.profiles] == [
        [[1, 256, 256], [2, 256, 256], [4, 256, 256]], [[1, 256, 256]] * 3
    ]  # fmt: skip
    assert cache.read_bytes() == b"old timed"
    assert result.plan.nbytes > half_graph.stat().st_size


def test_a_foreign_timing_cache_and_an_unknown_capability_are_usage_errors(
    fake: FakeTensorRT, half_graph: Path, tmp_path: Path
) -> None:
    fake.fails |= {"set_timing_cache", "set_compute_capability"}
    order = replace(half(sm=()), timing_cache=tmp_path / "timing.cache")
    with pytest.raises(UsageError, match=r"timing\.cache: a timing cache of another(.|\n)*delete it"):
        build_plan(fake, half_graph, order, Heard())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--sm 89"):
        build_plan(fake, half_graph, half(), Heard())  # type: ignore[arg-type]
    assert not (tmp_path / "timing.cache").exists()


def test_a_builder_that_gives_nothing_or_warns_of_the_profile_fails(fake: FakeTensorRT, half_graph: Path) -> None:
    fake.says.append("Profile kMAX values are not self-consistent. node_cat_1 ...")
    with pytest.raises(UsageError, match="not self-consistent"):
        build_plan(fake, half_graph, half(), Heard())  # type: ignore[arg-type]
    fake.says[:] = ["out of workspace"]
    fake.fails.add("build")
    with pytest.raises(ModelError, match="the builder failed: out of workspace"):
        build_plan(fake, half_graph, half(), Heard())  # type: ignore[arg-type]


def test_ctrl_c_stops_the_builder(fake: FakeTensorRT, half_graph: Path) -> None:
    class Impatient(Heard):
        def start(self, phase: str, parent: str | None, steps: int) -> None:
            raise KeyboardInterrupt  # as Python raises it in whatever code runs then

    with pytest.raises(KeyboardInterrupt):
        build_plan(fake, half_graph, half(), Impatient())  # type: ignore[arg-type]


def test_all_capabilities_are_the_builders_own(rtx: TensorRT) -> None:
    known = set(rtx.ComputeCapability.__members__) - {"NONE", "CURRENT"}
    assert {f"SM{name}" for name in CAPABILITIES} == known
