"""The Torch-TensorRT path with a stand-in for its compiler, which gives back what it was given: our steps, not its."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_tensorrt import fake_machine

from lgnet_cli.engines.build import Order
from lgnet_cli.engines.nvidia.profile import parse_profile
from lgnet_cli.engines.plan import Sidecar, here, sidecar_of, write_plan
from lgnet_cli.engines.torch import fill_with
from lgnet_cli.engines.torch_tensorrt import TorchTensorRtEngine, compile_program, versions
from lgnet_cli.errors import EngineError, ModelError
from lgnet_cli.model import LGNet


class TorchTensorRTModule(torch.nn.Module):
    """What is compiled is of a class of this name."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program


class StandIn:
    """Satisfies what `torch_tensorrt.py` calls; test_tensorrt_names.py holds those calls to the real signatures."""

    __version__ = "99.1"

    def __init__(self) -> None:
        self.compiled: dict[str, Any] = {}
        self.compiles = True
        self.dynamo = self

    def Input(self, **shape: Any) -> dict[str, Any]:  # noqa: N802
        return shape

    def compile(self, program: Any, **settings: Any) -> Any:
        self.compiled = settings
        part = TorchTensorRTModule(program) if self.compiles else torch.nn.Identity()
        return torch.nn.ModuleDict({"_run_on_acc_0": part, "_run_on_gpu_1": torch.nn.Identity()})

    def save(
        self, module: Any, path: str, *, output_format: str, arg_inputs: list[Any], dynamic_shapes: Any, retrace: bool
    ) -> None:
        """Traces once more, as the real one does: with the example and the free sizes that it is given."""
        assert (output_format, retrace) == ("exported_program", True)
        if self.compiles:
            program = module["_run_on_acc_0"].program
            torch.export.export(program.module(), tuple(arg_inputs), dynamic_shapes=dynamic_shapes)
        if self.compiles:
            torch.export.save(module["_run_on_acc_0"].program, path)

    def load(self, path: str) -> Any:
        return torch.export.load(path)


@pytest.fixture(scope="module")
def model() -> LGNet:
    torch.manual_seed(0)
    return LGNet(2).eval()


@pytest.fixture(scope="module")
def program(model: LGNet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StandIn, Sidecar]:
    path, stand_in = tmp_path_factory.mktemp("program") / "w2.pt2", StandIn()
    order = Order("fp16", parse_profile("2,2,3", "256"), level=4)
    count, left = compile_program(stand_in, model, order, path, path.parent, device="cpu")
    assert left == 1
    data = path.read_bytes()
    sidecar = Sidecar(
        plan_sha256=sha256(data).hexdigest(), plan_bytes=len(data), flavour="torch-tensorrt",
        version=versions(stand_in),
        platform=here(), compute_capabilities=["8.9"], gpu="Fake GPU", cuda="13.0", portable=False,
        batch=[2, 2, 3], side=[256] * 3,
        tensors={}, precision="fp16", half_tensors=count.half, attention="fused", fused_kernels=0,
        float_tensors=count.floating - count.half,
        onnx_sha256="", weights="w2.safetensors", weights_sha256="1" * 64, lgnet="0.1",
    )  # fmt: skip
    write_plan(path, data, sidecar)
    return path, stand_in, sidecar


def test_settings_and_types_reach_the_compiler(program: tuple[Path, StandIn, Sidecar]) -> None:
    path, stand_in, sidecar = program
    image, mask = stand_in.compiled["arg_inputs"]
    assert (image["min_shape"], image["max_shape"]) == ((2, 256, 256, 3), (3, 256, 256, 3))
    assert (mask["opt_shape"], mask["dtype"], mask["shared_dims"]) == ((2, 256, 256), torch.uint8, {0: "n"})
    assert stand_in.compiled["optimization_level"] == 4
    assert stand_in.compiled["timing_cache_path"] == str(path.parent / "torch-tensorrt-timing.bin")
    assert sidecar.half_tensors / (sidecar.half_tensors + sidecar.float_tensors) > 0.6


def test_attention_is_given_to_the_compiler_in_half(program: tuple[Path, StandIn, Sidecar]) -> None:
    """In float32 it takes attention apart, in silence."""
    nodes = torch.export.load(program[0]).graph.nodes
    kinds = [node.meta["val"].dtype for node in nodes if "scaled_dot_product_attention" in str(node.target)]
    assert kinds == [torch.float16] * 3


@pytest.mark.parametrize(
    ("batch", "size"), [("1,1,3", "256"), ("1", "256"), pytest.param("1,2,2", "256..512", marks=pytest.mark.slow)]
)
def test_it_is_saved_with_the_sizes_of_its_profile(batch: str, size: str, model: LGNet, tmp_path: Path) -> None:
    """Saving traces once more. A best batch of 1 as the example made 1 of every batch, and refused the profile."""
    order = Order("fp16", parse_profile(batch, size))
    compile_program(StandIn(), model, order, tmp_path / "w2.pt2", tmp_path, device="cpu")
    assert (tmp_path / "w2.pt2").is_file()


def test_a_program_of_which_nothing_is_compiled_is_refused(model: LGNet, tmp_path: Path) -> None:
    idle = StandIn()
    idle.compiles = False
    with pytest.raises(ModelError, match="compiled nothing of it"):
        compile_program(
            idle, model, Order("fp16", parse_profile("1", "256")), tmp_path / "w2.pt2", tmp_path, device="cpu"
        )


def test_it_splits_and_pads_and_agrees_with_the_model(program: tuple[Path, StandIn, Sidecar], model: LGNet) -> None:
    path, stand_in, _ = program
    engine = TorchTensorRtEngine(path, fake_machine(), stand_in, device="cpu")
    assert engine.info.batch == 3
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 256, 256, 3), dtype=np.uint8)
    mask = np.zeros((4, 256, 256), np.uint8)
    mask[:, 64:128, 64:128] = 255
    filled = engine.fill(image, mask)
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    off = np.abs(filled.astype(int) - fill_with(model)(image, mask))[mask > 0]
    assert off.mean() < 1  # half's rounding
    with pytest.raises(EngineError, match="not within this engine's profile"):
        engine.fill(np.zeros((1, 512, 512, 3), np.uint8), np.zeros((1, 512, 512), np.uint8))
    engine.close()
    engine.close()


def test_what_is_wrong_is_said_before_anything_is_loaded(
    program: tuple[Path, StandIn, Sidecar], tmp_path: Path
) -> None:
    path, stand_in, sidecar = program
    copy = tmp_path / "w2.pt2"
    cases: list[tuple[Callable[[bytes], bytes], Sidecar, str]] = [
        (lambda data: data[:-1], sidecar, "cut off"),
        (lambda data: data, replace(sidecar, version="2.13"), r"built by torch-tensorrt 2\.13; here is 99\.1, torch "),
        (lambda data: data, replace(sidecar, compute_capabilities=["9.0"]), r"for 9\.0 \(on Fake GPU\)"),
        (lambda data: data, replace(sidecar, half_tensors=0), "called fp16"),
    ]
    for change, described, words in cases:
        write_plan(copy, change(path.read_bytes()), described)
        with pytest.raises(ModelError, match=words):
            TorchTensorRtEngine(copy, fake_machine(), stand_in, device="cpu")
    sidecar_of(copy).unlink()
    with pytest.raises(ModelError, match="does not say itself what it takes"):
        TorchTensorRtEngine(copy, fake_machine(), stand_in, trust=True, device="cpu")
