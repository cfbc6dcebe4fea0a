"""From a graph to a file that was verified: build, describe, hold against the model, and only then write."""

import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from lgnet_cli import __version__
from lgnet_cli.atomic import replacing
from lgnet_cli.errors import ModelError
from lgnet_cli.spec import FILLED, IMAGE, MASK
from lgnet_cli.weights.header import sha256

from .build import Built, Order, build_plan
from .cost import cost_of
from .libraries import TENSORRT, TensorRT
from .machine import Gpu, Machine
from .onnxruntime import OnnxRuntimeEngine
from .phases import Phases
from .plan import Sidecar, digest, here, write_plan
from .source import Source, reference
from .tensorrt import open_plan
from .verify import LEAST_PSNR, Verdict, one_by_one, verify


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
    with Phases(console) as phases:
        built = build_plan(trt, graph, order, phases)
    sidecar = _described(built, trt, backend, order, source, graph, machine.gpu)
    _say_built(built, order, graph, sidecar, console)
    if verify and machine.runs(backend, order.capabilities):
        judge(_verify_plan(built, sidecar, source, machine), source, out, console, keep=keep)
    elif verify:
        verify_graph(source, graph, out, console, keep=keep)
        console.print("the plan itself has not run: this machine cannot; on the GPU's: lgnet doctor --gpu-check")
    write_plan(out, built.plan, sidecar)
    console.print(f"wrote {out} and {out.name}.json", markup=False)


def make_graph(source: Source, graph: Path, out: Path, console: Console, *, verify: bool, keep: bool) -> None:
    """Write `graph` itself, verified. Raises ModelError where it differs from the model, unless `keep`."""
    if verify:
        verify_graph(source, graph, out, console, keep=keep)
    with replacing(out) as temporary:
        shutil.copyfile(graph, temporary)
    console.print(f"wrote {out}", markup=False)


def verify_graph(source: Source, graph: Path, out: Path, console: Console, *, keep: bool) -> None:
    """Hold the graph, run by ONNX Runtime, against the model. It may compute half in float32, so this proves the graph
    and not half arithmetic."""
    console.print("verifying the graph with ONNX Runtime on the CPU (which may compute half in float32)")
    fill, _ = reference(source)
    judge(verify(one_by_one(OnnxRuntimeEngine(graph).fill), fill), source, out, console, keep=keep)


def judge(verdict: Verdict, source: Source, out: Path, console: Console, *, keep: bool) -> None:
    """Print the verdict. Raises ModelError where it is not good, unless `keep`."""
    against = "the FP32 PyTorch model" if source.model else "ONNX Runtime on the same graph"
    console.print(f"against {against}: {verdict}", markup=False)
    if not verdict.good and not keep:
        raise ModelError(
            f"{out}: refused and not written: {verdict} (least: {LEAST_PSNR:.0f} dB)",
            mend="build it with --fp32, or keep it all the same with --keep, and please report it with the file of: "
            "lgnet doctor --gpu-check",
        )
    if not verdict.good:
        console.print("kept all the same: --keep")


def _verify_plan(built: Built, sidecar: Sidecar, source: Source, machine: Machine) -> Verdict:
    """Run the plan before it gets its name: out of a folder that is gone afterwards."""
    fill, _ = reference(source)
    with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
        plan = Path(folder, "engine.plan")
        write_plan(plan, built.plan, sidecar)
        engine = open_plan(plan, machine)
        try:
            return verify(engine.fill, fill)
        finally:
            engine.close()


def _described(
    built: Built, trt: TensorRT, backend: str, order: Order, source: Source, graph: Path, gpu: Gpu | None
) -> Sidecar:
    named = [f"{c[:-1]}.{c[-1]}" for c in order.capabilities]
    return Sidecar(
        plan_sha256=digest(built.plan),
        plan_bytes=built.plan.nbytes,
        flavour=backend,
        version=trt.__version__,
        platform=here(),
        compute_capabilities=named or ([gpu.capability] if gpu else []),
        gpu=gpu.name if gpu and backend == TENSORRT else "",
        cuda=gpu.cuda if gpu else "",
        batch=list(order.profile.batch),
        side=list(order.profile.side),
        tensors={IMAGE: "uint8", MASK: "uint8", FILLED: "uint8"},
        precision=order.precision,
        half_tensors=built.count.half,
        float_tensors=built.count.floating - built.count.half,
        onnx_sha256=sha256(graph),
        weights=source.name,
        weights_sha256=source.sha256,
        lgnet=__version__,
    )


def _say_built(built: Built, order: Order, graph: Path, sidecar: Sidecar, console: Console) -> None:
    batch, side = order.profile.batch[2], order.profile.side[2]
    cost = cost_of(graph, batch, side)
    console.print(f"network: {built.count}")
    console.print(
        f"plan: {built.plan.nbytes / 1e6:.1f} MB, built in {built.seconds:.1f} s by {sidecar.flavour} {sidecar.version} "
        f"for compute capability {', '.join(sidecar.compute_capabilities)}"
    )
    console.print(
        f"memory at batch {batch} of {side} x {side}, computed from the graph, not measured: {cost.weight_bytes / 1e6:.0f} "
        f"MB of weights and, if nothing is fused, {cost.peak_bytes / 1e6:.0f} MB of intermediate results for each of two "
        "streams"
    )
