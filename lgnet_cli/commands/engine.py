"""`lgnet build-engine` and `lgnet doctor`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .shared import Verbose


class Backend(str, Enum):
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"
    torch_tensorrt = "torch-tensorrt"
    onnx = "onnx"


class Attention(str, Enum):
    fused = "fused"
    products = "products"
    float32 = "float"


class GpuBackend(str, Enum):
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"
    torch_tensorrt = "torch-tensorrt"


def build_engine(
    weights: Annotated[
        Path | None,
        typer.Argument(
            help="Native weights, a published model's folder, or an exported .onnx; the model that ships if left out."
        ),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16/--fp32", help="Precision of the arithmetic.")] = True,
    backend: Annotated[
        Backend | None, typer.Option(help="tensorrt where a GPU and TensorRT are, else tensorrt-rtx, ahead of time.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The engine; WEIGHTS-fp16.plan if left out.")] = None,
    batch: Annotated[str, typer.Option(help="Images a call: one number, or least,best,most.")] = "1,16,16",
    size: Annotated[str, typer.Option(help="Side in pixels, a multiple of 256: 256, or 256..1024.")] = "256",
    sm: Annotated[str | None, typer.Option(help="TensorRT-RTX: compute capabilities, of 75,80,86,89,120,121.")] = None,
    workspace: Annotated[
        float | None, typer.Option(min=0.001, help="GiB of scratch memory the engine may use.")
    ] = None,
    optimization_level: Annotated[int | None, typer.Option(min=0, max=5, help="How hard the builder searches.")] = None,
    timing_cache: Annotated[Path | None, typer.Option(help="TensorRT: read if there, and written.")] = None,
    attention: Annotated[
        Attention | None,
        typer.Option(help="FP16: fused in one kernel (the default), as products where none is, or in float32."),
    ] = None,
    verify: Annotated[
        bool | None, typer.Option("--verify/--no-verify", help="Hold it against the FP32 model before it is written.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Write an engine that failed the verification.")] = False,
    tf32: Annotated[
        bool, typer.Option("--tf32/--no-tf32", help="FP32: products may round their factors to 10 bits, as half does.")
    ] = True,
    portable: Annotated[
        bool, typer.Option("--portable", help="TensorRT: for all GPUs of this compute capability, if slower.")
    ] = False,
    device: Annotated[int | None, typer.Option(min=0, help="Which GPU, as nvidia-smi counts; the first.")] = None,
    verbose: Verbose = False,
) -> None:
    """Turn a model into an engine for NVIDIA GPUs; without a GPU here, ahead of time, by TensorRT-RTX."""
    from lgnet_cli.weights.commands import need_torch

    need_torch()
    from lgnet_cli.device import use_device
    from lgnet_cli.engines.build_job import BuildJob, build

    use_device(device)

    build(
        BuildJob(
            weights, "fp16" if fp16 else "fp32", backend.value if backend else None, out, batch, size, sm, workspace,
            optimization_level, timing_cache, verify, keep, attention.value if attention else None, portable, tf32,
        )
    )  # fmt: skip


def doctor(
    gpu_check: Annotated[
        bool,
        typer.Option("--gpu-check", help="Build, verify and time engines on this machine's GPU, for three minutes."),
    ] = False,
    weights: Annotated[Path | None, typer.Option(help="For --gpu-check; the model that ships if left out.")] = None,
    backend: Annotated[GpuBackend | None, typer.Option(help="For --gpu-check; as for build-engine.")] = None,
    report: Annotated[Path, typer.Option("-o", "--out", help="The report of --gpu-check.")] = Path("lgnet-gpu.json"),
    device: Annotated[int | None, typer.Option(min=0, help="Which GPU, as nvidia-smi counts; the first.")] = None,
    verbose: Verbose = False,
) -> None:
    """What this machine has for lgnet's back ends, what is missing, and the command that installs it."""
    from rich.console import Console

    from lgnet_cli.device import use_device
    from lgnet_cli.engines import doctor
    from lgnet_cli.engines.machine import this_machine
    from lgnet_cli.weights.commands import need_torch

    use_device(device)
    machine, console = this_machine(), Console(highlight=False, soft_wrap=True)
    doctor.show(doctor.inventory(machine), console)
    if gpu_check:
        need_torch()
        from lgnet_cli.engines.nvidia.check import gpu_check as check

        check(machine, weights, backend.value if backend else None, report, console)
