"""Torch-TensorRT 2.14 and later, by its dynamo path: PyTorch's own export, compiled, saved as an exported program.

Its networks are strongly typed too: the half-precision module, attention in half with it, is given as it is, and no
setting of the compiler changes types. Never run by the project's tests, which have no GPU: they hold the calls below to
the signatures of the real package, and run this file's own steps with a stand-in for it.
"""

import importlib
import importlib.metadata
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lgnet_cli.errors import EngineError, MissingBackend, ModelError
from lgnet_cli.model import LGNet
from lgnet_cli.spec import IMAGE, MASK

from .build import Count, Order, check_count
from .export import EightBit, fold_batchnorm
from .libraries import INSTALL, TORCH_TENSORRT
from .machine import Machine
from .nvidia.attention import halve_attention
from .nvidia.profile import Profile
from .plan import check_file, check_gpu, check_precision, check_version, read_sidecar, sidecar_of
from .protocol import EngineInfo, Pixels

ENGINE = "TorchTensorRTModule"
"""The class of a compiled part."""

TIMING = "torch-tensorrt-timing.bin"

IN_PYTORCH = "_run_on_gpu"
"""In the name of a part that it does not compile."""


def load_torch_tensorrt() -> Any:
    """The module. Raises MissingBackend."""
    try:
        return importlib.import_module("torch_tensorrt")
    except (ImportError, OSError) as error:
        raise MissingBackend(
            f"torch-tensorrt cannot be used here: {str(error).partition(chr(10))[0]}",
            mend=f"install it with: {INSTALL[TORCH_TENSORRT]}",
        ) from error


def compile_program(
    torchtrt: Any, model: LGNet, order: Order, path: Path, cache: Path, *, device: str = "cuda"
) -> tuple[Count, int]:
    """Compile `model` and save it to `path`; gives the count of its types, and how many parts stay in PyTorch.

    `cache` is the folder in which its timings are kept for the next build.

    Raises ModelError: what was given to the compiler is not of the precision asked for, or it cannot compile it.
    """
    folded = fold_batchnorm(model)
    if order.precision == "fp16" and order.attention == "fused":
        halve_attention(folded)  # in float32 the compiler takes attention apart, in silence
    network = EightBit(folded.half() if order.precision == "fp16" else folded).eval().to(device)
    program = torch.export.export(network, _example(order.profile, device), dynamic_shapes=_dynamic(order.profile))
    count = count_program(program)
    check_count(path, count, order.precision)
    inputs = [_input(torchtrt, name, order.profile) for name in (IMAGE, MASK)]
    try:
        compiled = _compiled(torchtrt, program, order, inputs, cache)
        example, dynamic = _example(order.profile, device), _dynamic(order.profile)
        torchtrt.save(
            compiled, str(path), output_format="exported_program", arg_inputs=list(example), dynamic_shapes=dynamic,
            retrace=True,
        )  # fmt: skip
    except Exception as error:  # of PyTorch, of Torch-TensorRT or of TensorRT
        raise ModelError(
            f"{path.name}: torch-tensorrt cannot compile it: {str(error).partition(chr(10))[0]}",
            mend="the same network as a plan: lgnet build-engine WEIGHTS --backend tensorrt",
        ) from error
    if not any(type(module).__name__ == ENGINE for module in compiled.modules()):
        raise ModelError(f"{path.name}: torch-tensorrt compiled nothing of it", mend="build it with --backend tensorrt")
    return count, sum(IN_PYTORCH in name for name, _ in compiled.named_children())


def versions(torchtrt: Any) -> str:
    """All whose change makes a program another: its pins let TensorRT and PyTorch move under it."""
    tensorrt = ""
    for package in ("tensorrt-cu13", "tensorrt-cu12", "tensorrt"):
        with suppress(importlib.metadata.PackageNotFoundError):
            tensorrt = tensorrt or f", tensorrt {importlib.metadata.version(package)}"
    return f"{torchtrt.__version__}, torch {torch.__version__}{tensorrt}"


def _compiled(torchtrt: Any, program: Any, order: Order, inputs: list[Any], cache: Path) -> Any:
    return torchtrt.dynamo.compile(
        program,
        arg_inputs=inputs,
        assume_dynamic_shape_support=True,
        workspace_size=int((order.workspace or 0) * 2**30),  # 0: the compiler's own choice
        optimization_level=order.level,
        immutable_weights=True,
        timing_cache_path=str(cache / TIMING),  # else in /tmp, where any user of the machine could have put it
    )


class TorchTensorRtEngine:
    """A compiled program on the first GPU; one thread at a time."""

    def __init__(
        self, path: Path, machine: Machine, torchtrt: Any, *, trust: bool = False, device: str = "cuda"
    ) -> None:
        """Check against the sidecar, and load by `torchtrt`, the module. Raises ModelError, MissingBackend."""
        if not sidecar_of(path).exists():
            raise ModelError(
                f"{path}: its sidecar {sidecar_of(path).name} is not beside it, and the program does not say itself "
                "what it takes",
                mend=f"copy it beside it, or build it anew: lgnet build-engine WEIGHTS --backend {TORCH_TENSORRT}",
            )
        sidecar = read_sidecar(path)
        check_precision(path, sidecar)
        if not trust:
            check_file(path, sidecar)
        check_version(path, sidecar, versions(torchtrt))
        if not machine.gpu:
            raise MissingBackend(f"{path}: there is no GPU here to run it on", mend="see: lgnet doctor")
        check_gpu(path, sidecar, machine.gpu.name, machine.gpu.capability)
        try:
            self._module = torchtrt.load(str(path)).module()
        except Exception as error:  # of PyTorch, of Torch-TensorRT or of TensorRT
            raise ModelError(
                f"{path}: torch-tensorrt refuses it: {str(error).partition(chr(10))[0]}",
                mend=f"build it anew: {sidecar.rebuild(path)}",
            ) from error
        self._device, self._profile = device, sidecar.profile
        self.info = EngineInfo(
            backend=TORCH_TENSORRT,
            device=machine.gpu.name,
            precision=sidecar.precision,
            sizes=sidecar.profile.sizes,
            max_pixels=sidecar.profile.side[2] ** 2,
            weights_sha256=sidecar.weights_sha256,
            side=sidecar.profile.side[0],
            batch=sidecar.profile.batch[2],
        )

    @torch.inference_mode()
    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        self._profile.check_shape(*mask.shape[1:])
        most = self._profile.batch[2]
        parts = [self._part(image[i : i + most], mask[i : i + most]) for i in range(0, len(image), most)]
        return np.concatenate(parts)

    def close(self) -> None:
        self.__dict__.pop("_module", None)

    def _part(self, image: Pixels, mask: Pixels) -> Pixels:
        """At most one batch of the profile; fewer than its least are padded."""
        short = max(0, self._profile.batch[0] - len(image))
        arrays = (np.pad(a, [(0, short)] + [(0, 0)] * (a.ndim - 1)) for a in (image, mask))
        try:
            filled = self._module(*(torch.from_numpy(a).to(self._device) for a in arrays))
            result: Pixels = filled[: len(image)].contiguous().cpu().numpy()
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            raise EngineError(f"Torch-TensorRT failed: {str(error).partition(chr(10))[0]}") from error
        return result


def count_program(program: Any) -> Count:
    """Count an exported program's tensors by type, as `build.count_types` does a network's."""
    types = [(n.name, n.target, n.meta["val"].dtype) for n in program.graph.nodes
             if n.op == "call_function" and isinstance(n.meta.get("val"), torch.Tensor)]  # fmt: skip
    half = sum(kind == torch.float16 for _, _, kind in types)
    floating = sum(kind in (torch.float16, torch.float32) for _, _, kind in types)
    convolutions = [n for n, target, kind in types if "conv" in str(target) and kind == torch.float32]
    return Count(half, floating, convolutions)


def _input(torchtrt: Any, name: str, profile: Profile) -> Any:
    colours = (3,) if name == IMAGE else ()
    least, best, most = ((n, s, s, *colours) for n, s in zip(profile.batch, profile.side, strict=True))
    if least == most:
        return torchtrt.Input(shape=most, dtype=torch.uint8, name=name)
    shared = {axis: letter for axis, letter in enumerate("nhw") if least[axis] != most[axis]}
    return torchtrt.Input(
        min_shape=least, opt_shape=best, max_shape=most, dtype=torch.uint8, name=name, shared_dims=shared
    )


def _example(profile: Profile, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    side = profile.side[0] if profile.fixed_size else 512  # a dynamic size is traced at one that is not special
    image = torch.zeros(
        profile.batch[2] if profile.batch[0] == profile.batch[2] else 2, side, side, 3, dtype=torch.uint8
    )
    return image.to(device), image[..., 0].to(device)


def _dynamic(profile: Profile) -> dict[str, dict[int, Any]]:
    """The free dimensions, the same of image and mask."""
    free: dict[int, Any] = {}
    if profile.batch[0] != profile.batch[2]:
        free[0] = torch.export.Dim("n", min=1, max=profile.batch[2])
    if not profile.fixed_size:
        high, wide = (torch.export.Dim(name, min=1) for name in "hw")  # at most 2, say, makes constants of them
        free |= {1: 256 * high, 2: 256 * wide}
    return {"image": free, "mask": free}
