"""From a graph to a file that was verified: build, describe, hold against the model, and only then write."""

import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from lgnet_cli import __version__
from lgnet_cli.atomic import replacing
from lgnet_cli.errors import ModelError, UsageError
from lgnet_cli.spec import FILLED, IMAGE, MASK
from lgnet_cli.weights.header import sha256

from .build import Built, Count, Order, build_plan, check_fused
from .cost import Cost, cost_of
from .kept import cache_folder
from .libraries import TENSORRT, TENSORRT_RTX, TORCH_TENSORRT
from .machine import Gpu, Machine
from .nvidia.forms import SAID
from .nvidia.profile import LANES, Profile
from .nvidia.versions import known_bad
from .onnxruntime import OnnxRuntimeEngine
from .phases import Phases
from .plan import Sidecar, here, write_plan
from .source import Source, reference
from .tensorrt import open_plan
from .verify import LEAST_PSNR, Verdict, hold, one_by_one

LARGEST_ON_CPU = 512
"""Pixels. There attention's scores take 1 GiB, at twice the side sixteen times that."""


def make_plan(
    backend: str, order: Order, source: Source, graph: Path, out: Path, machine: Machine, console: Console, *,
    verify: bool, keep: bool,
) -> None:  # fmt: skip
    """Build `graph` by TensorRT or TensorRT-RTX, verify, and write plan and sidecar.

    Raises:
        ModelError: it cannot be built, or differs from the model (then it is not written, unless `keep`).
        MissingBackend: what builds it is not installed.
    """
    trt = machine.tensorrt(backend)
    reported = known_bad(trt.__version__, machine.gpu.capability) if backend == TENSORRT and machine.gpu else ""
    if reported:
        console.print(f"{reported}; what verifies this build has to decide", markup=False)
    cost = cost_of(graph, order.profile.batch[2], order.profile.side[2])
    _check_memory(cost, order, machine)
    with Phases(console) as phases:
        built = build_plan(trt, graph, order, phases)
    fused = built.fused_kernels
    if backend == TENSORRT_RTX and not keep:
        check_fused(graph, built.count, fused)
    sidecar = _described(
        built.plan, built.count, backend, trt.__version__, order, source, sha256(graph), machine.gpu, fused
    )
    _say_built(built, order, cost, sidecar, console)
    if verify and machine.runs(backend, order.capabilities):
        judge(_verify_plan(built, sidecar, source, machine), source, out, console, keep=keep)
    elif verify:
        verify_graph(source, graph, order.profile.side[0], out, console, keep=keep)
        console.print(
            "the plan itself has not run: this machine cannot; on the GPU's: lgnet doctor --gpu-check",
            markup=False,
        )
    write_plan(out, built.plan, sidecar)
    console.print(f"wrote {out} and {out.name}.json", markup=False)


def make_program(
    order: Order, source: Source, out: Path, machine: Machine, console: Console, *, verify: bool, keep: bool
) -> None:
    """Compile by Torch-TensorRT, verify, and write program and sidecar; raises as `make_plan`."""
    from .torch_tensorrt import TorchTensorRtEngine, compile_program, load_torch_tensorrt, versions

    if source.model is None:
        raise UsageError("torch-tensorrt compiles weights, not graphs", mend="give it the weights")
    torchtrt = load_torch_tensorrt()
    with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
        program, started = Path(folder, "engine.pt2"), time.perf_counter()
        count, left = compile_program(torchtrt, source.model, order, program, cache_folder())
        data = memoryview(program.read_bytes())
        console.print(
            f"network: {count}; program: {data.nbytes / 1e6:.1f} MB, compiled in {time.perf_counter() - started:.1f} s"
            + (f"; {left} parts of it stay in PyTorch" if left else "")
        )
        sidecar = _described(data, count, TORCH_TENSORRT, versions(torchtrt), order, source, "", machine.gpu)
        write_plan(program, data, sidecar)
        if verify:
            engine = TorchTensorRtEngine(program, machine, torchtrt)
            verdict = hold(engine.fill, reference(source), order.profile)
            engine.close()
            judge(verdict, source, out, console, keep=keep)
    write_plan(out, data, sidecar)
    console.print(f"wrote {out} and {out.name}.json", markup=False)


def make_graph(
    source: Source, graph: Path, side: int, out: Path, console: Console, *, verify: bool, keep: bool
) -> None:
    """Write `graph` itself, verified. Raises ModelError where it differs from the model, unless `keep`."""
    if verify:
        verify_graph(source, graph, side, out, console, keep=keep)
    with replacing(out) as temporary:
        shutil.copyfile(graph, temporary)
    console.print(f"wrote {out}", markup=False)


def verify_graph(source: Source, graph: Path, side: int, out: Path, console: Console, *, keep: bool) -> None:
    """Hold the graph, run by ONNX Runtime, against the model, at `side`. It may compute half in float32, so this proves
    the graph and not half arithmetic."""
    if source.model is None:
        console.print("not verified: without its weights there is no FP32 model to hold a graph against")
        return
    if side > LARGEST_ON_CPU:
        console.print(f"not verified: on a CPU, attention at {side} x {side} takes too much memory")
        return
    console.print("verifying the graph with ONNX Runtime on the CPU (which may compute half in float32)")
    engine = OnnxRuntimeEngine(graph)
    profile = Profile((1, 1, 1), (side, side, side))
    judge(hold(one_by_one(engine.fill), reference(source), profile), source, out, console, keep=keep)


def judge(verdict: Verdict, source: Source, out: Path, console: Console, *, keep: bool) -> None:
    """Print the verdict. Raises ModelError where it is not good, unless `keep`."""
    against = "the FP32 PyTorch model" if source.model else "ONNX Runtime on the same graph"
    console.print(f"against {against}: {verdict}", markup=False)
    if not verdict.good and not keep:
        raise ModelError(
            f"{out}: refused and not written: {verdict} (least: {LEAST_PSNR:.0f} dB)",
            mend="build it with --attention float, or else with --fp32; --keep writes it all the same. Please report "
            "it with the file of: lgnet doctor --gpu-check",
        )
    if not verdict.good:
        console.print("kept all the same: --keep")


def _verify_plan(built: Built, sidecar: Sidecar, source: Source, machine: Machine) -> Verdict:
    """Run the plan before it gets its name: out of a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
        plan = Path(folder, "engine.plan")
        write_plan(plan, built.plan, sidecar)
        engine = open_plan(plan, machine)
        try:
            return hold(engine.fill, reference(source), sidecar.profile)
        finally:
            engine.close()


def _described(
    plan: memoryview, count: Count, backend: str, version: str, order: Order, source: Source, onnx_sha256: str,
    gpu: Gpu | None, fused_kernels: int = 0,
) -> Sidecar:  # fmt: skip
    named = [f"{c[:-1]}.{c[-1]}" for c in order.capabilities]
    here_alone = gpu if backend != TENSORRT_RTX else None  # what was built on a GPU is for that GPU
    return Sidecar(
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=plan.nbytes,
        flavour=backend,
        version=version,
        platform=here(),
        compute_capabilities=named or ([gpu.capability] if gpu else []),
        gpu=here_alone.name if here_alone else "",
        cuda=here_alone.cuda if here_alone else "",
        batch=list(order.profile.batch),
        side=list(order.profile.side),
        tensors={IMAGE: "uint8", MASK: "uint8", FILLED: "uint8"},
        precision=order.precision,
        half_tensors=count.half,
        float_tensors=count.floating - count.half,
        attention=order.attention,
        portable=order.portable,
        fused_kernels=fused_kernels,
        onnx_sha256=onnx_sha256,
        weights=source.name,
        weights_sha256=source.sha256,
        lgnet=__version__,
    )


def _check_memory(cost: Cost, order: Order, machine: Machine) -> None:
    """Raises UsageError where this machine's GPU, if the plan is for it, has too little memory to run it."""
    needed, gpu = cost.device_bytes(LANES), machine.gpu
    here_alone = not order.capabilities or (gpu and order.capabilities == (gpu.capability.replace(".", ""),))
    if gpu and here_alone and needed > gpu.memory:
        raise UsageError(
            f"a plan of {order.profile.batch[2]} images of {order.profile.sizes} takes about "
            f"{needed / 2**30:.1f} GiB, computed from its graph; {gpu.name} has {gpu.memory / 2**30:.1f}",
            mend="give a smaller --batch or --size"
            + (", or leave --attention out" if order.attention != "fused" else ""),
        )


def _say_built(built: Built, order: Order, cost: Cost, sidecar: Sidecar, console: Console) -> None:
    batch, side = order.profile.batch[2], order.profile.side[2]
    console.print(f"network: {built.count}")
    if order.precision == "fp32" and order.tf32:
        console.print("float32 products by TF32 on Ampere and later, with half's 10-bit mantissas; not with --no-tf32")
    console.print(
        f"attention: {SAID[order.attention]}; {built.count.attention} of them, {sidecar.fused_kernels} fused attention "
        "kernels in the plan"
    )
    console.print(
        f"plan: {built.plan.nbytes / 1e6:.1f} MB, built in {built.seconds:.1f} s by {sidecar.flavour} "
        f"{sidecar.version} for compute capability {', '.join(sidecar.compute_capabilities)}"
    )
    console.print(
        f"memory at batch {batch} of {side} x {side}, computed from the graph, not measured: about "
        f"{cost.device_bytes(LANES) / 2**30:.2f} GiB ({cost.weight_bytes / 1e6:.0f} MB of weights, and "
        f"{cost.peak_bytes / 1e6:.0f} MB of intermediate results for each of two streams)"
    )
