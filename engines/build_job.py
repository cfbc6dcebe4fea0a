"""`lgnet build-engine`: check, export, build, verify, write, and say what came out."""

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from lgnet_cli.errors import MissingBackend, UsageError

from .build import NotFused, Order
from .libraries import CAPABILITIES, INSTALL, TENSORRT, TENSORRT_RTX, TORCH_TENSORRT, TURING
from .machine import Machine, this_machine
from .make import LARGEST_ON_CPU, make_graph, make_plan, make_program
from .nvidia.forms import Form, knows_attention
from .nvidia.profile import MAX_BUFFERS, Profile, parse_profile
from .nvidia.start import new_builder
from .plan import Precision
from .source import Source, graph_for, open_source
from .tensorrt_log import log_of

ONNX = "onnx"
SUFFIXES = {TENSORRT: ".plan", TENSORRT_RTX: ".plan", TORCH_TENSORRT: ".pt2", ONNX: ".onnx"}
ALSO = ".engine"
"""What plans are called too."""

TAKES = {
    TENSORRT: {"--portable", "--timing-cache", "--workspace", "--optimization-level"},
    TENSORRT_RTX: {"--sm", "--workspace", "--optimization-level"},
    TORCH_TENSORRT: {"--workspace", "--optimization-level"},
    ONNX: set[str](),
}


@dataclass(frozen=True)
class BuildJob:
    """What the command line asks for; see the options of `lgnet build-engine`."""

    weights: Path | None = None
    precision: Precision = "fp16"
    backend: str | None = None  # None: the best that can be built here
    out: Path | None = None  # None: named after the weights, in the working folder
    batch: str = "1,16,16"
    size: str = "256"
    capabilities: str | None = None
    workspace: float | None = None
    level: int | None = None
    timing_cache: Path | None = None
    verify: bool | None = None  # None: as far as it can be done here
    keep: bool = False  # write what failed the verification
    attention: Form | None = None  # None: fused, and where no kernel does that, as products
    portable: bool = False  # for all GPUs of this one's compute capability
    tf32: bool = True  # for fp32: whether products may round their factors to 10 bits
    detailed: bool = False  # whether the plan says how it computes each layer


def build(job: BuildJob) -> None:
    """Build on this machine and print the engine's path."""
    print(run_build(job, this_machine(), Console(stderr=True, highlight=False, soft_wrap=True)))


def run_build(job: BuildJob, machine: Machine, console: Console) -> Path:
    """Build what is asked for and return its path. Raises LgnetError; then nothing was written."""
    backend, why = chosen(job.backend, machine)
    console.print(f"back end: {backend}, {why}", markup=False)
    if backend in (TENSORRT, TORCH_TENSORRT):
        machine.check_cuda(backend)
    order = _order(job, backend, machine)
    source = open_source(job.weights)
    out = job.out or Path(f"{Path(source.name).stem}-{job.precision}{SUFFIXES[backend]}")
    _check_writable(out, backend, job.timing_cache)
    if backend in (TENSORRT, TENSORRT_RTX):
        trt = machine.tensorrt(backend)
        new_builder(trt, log_of(trt))  # whether it starts: seconds before the graph is there
    verify = job.verify is not False
    if job.verify and backend == ONNX:
        _check_verifiable(source, order.profile)
    if backend == TORCH_TENSORRT:
        make_program(order, source, out, machine, console, verify=verify, keep=job.keep)
        return out
    try:
        _from_graph(backend, order, source, out, machine, console, verify=verify, keep=job.keep)
    except NotFused as error:
        if job.attention or source.graph:
            raise
        console.print(
            f"{error.args[0]}\nattention is built as products instead, which may be slower and take far more memory"
        )
        products = replace(order, attention="products")
        _from_graph(backend, products, source, out, machine, console, verify=verify, keep=job.keep)
    return out


def _from_graph(
    backend: str, order: Order, source: Source, out: Path, machine: Machine, console: Console, *, verify: bool,
    keep: bool,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
        started = time.perf_counter()
        graph = graph_for(source, order.precision, order.profile, Path(folder), attention=order.attention)
        seconds, size = time.perf_counter() - started, graph.stat().st_size / 1e6
        console.print(f"graph: {order.precision}, {size:.1f} MB, {seconds:.1f} s")
        if backend == ONNX:
            make_graph(source, graph, order.profile.side[0], out, console, verify=verify, keep=keep)
        else:
            make_plan(backend, order, source, graph, out, machine, console, verify=verify, keep=keep)


def chosen(name: str | None, machine: Machine) -> tuple[str, str]:
    """The back end and why. Raises UsageError (no such name), MissingBackend (it cannot build here)."""
    if name is not None and name not in SUFFIXES:
        raise UsageError(f"no engine is built by {name!r}", mend=f"there are: {', '.join(SUFFIXES)}")
    if name is None:
        missing = _missing_for_tensorrt(machine)
        if not missing and machine.gpu:
            return TENSORRT, f"on this machine's GPU ({machine.gpu.name})"
        return TENSORRT_RTX, f"ahead of time: {missing}"
    if name in (TENSORRT, TORCH_TENSORRT) and not machine.gpu:
        raise MissingBackend(
            f"{name} builds only on the GPU that its engine is for, and there is none here",
            mend="build ahead of time with --backend tensorrt-rtx, or build on that machine",
        )
    return name, "named"


def _missing_for_tensorrt(machine: Machine) -> str:
    if not machine.gpu:
        return "no GPU here, which TensorRT itself needs"
    if not machine.installed(TENSORRT):
        return "TensorRT is not installed"
    try:
        machine.tensorrt(TENSORRT)
    except MissingBackend as error:  # installed, but its libraries do not load
        return str(error.args[0])
    return ""


def _check_writable(out: Path, backend: str, timing_cache: Path | None) -> None:
    """What would only come out after minutes of building. Raises UsageError."""
    suffixes = {SUFFIXES[backend], ALSO} if SUFFIXES[backend] == ".plan" else {SUFFIXES[backend]}
    if out.suffix not in suffixes:
        raise UsageError(
            f"{out}: what {backend} builds is told by its suffix", mend=f"call it {out.with_suffix(SUFFIXES[backend])}"
        )
    for path in filter(None, (out, timing_cache)):
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise UsageError(f"{path}: cannot be written there", mend="name a file in a folder that can be written to")


def _check_verifiable(source: Source, profile: Profile) -> None:
    """Raises UsageError where a graph cannot be verified, though it was asked for."""
    if source.model is None:
        raise UsageError("--verify: without its weights there is no FP32 model to hold a graph against")
    if profile.side[0] > LARGEST_ON_CPU:
        raise UsageError(f"--verify: a graph of over {LARGEST_ON_CPU} pixels takes too much memory on a CPU")


def _order(job: BuildJob, backend: str, machine: Machine) -> Order:
    """The options, checked before anything is loaded or built."""
    profile = parse_profile(job.batch, job.size)
    given = {"--sm": job.capabilities, "--timing-cache": job.timing_cache, "--workspace": job.workspace,
             "--optimization-level": job.level, "--portable": job.portable or None}  # fmt: skip
    extra = {option for option, value in given.items() if value is not None} - TAKES[backend]
    if extra:
        takes = ", ".join(sorted(TAKES[backend])) or "none of them"
        raise UsageError(f"{', '.join(sorted(extra))}: means nothing to --backend {backend}", mend=f"it takes {takes}")
    if not job.tf32 and (job.precision == "fp16" or backend not in (TENSORRT, TENSORRT_RTX)):
        raise UsageError("--no-tf32: is for --fp32 by TensorRT or TensorRT-RTX")
    if backend in (TENSORRT, TENSORRT_RTX):
        _check_buffers(job, profile)
    attention = _attention(job, backend, machine)
    capabilities = _capabilities(job, attention, backend, machine)
    if TURING in capabilities and attention == "float":
        raise UsageError(
            "--sm 75: TensorRT-RTX multiplies no float32 matrices on Turing",
            mend="build it with --fp16 and without --attention float, or on that GPU with --backend tensorrt",
        )
    if job.verify and backend != ONNX and not machine.runs(backend, capabilities):
        raise MissingBackend(
            f"--verify: this machine cannot run what {backend} builds",
            mend="leave --verify out, and its graph is checked on the CPU; on the GPU's: lgnet doctor --gpu-check",
        )
    return Order(
        job.precision, profile, capabilities, job.workspace, job.level, job.timing_cache, attention, job.portable,
        job.tf32, job.detailed,
    )  # fmt: skip


def _attention(job: BuildJob, backend: str, machine: Machine) -> Form:
    """How attention is to stand in the graph, as far as that is known before the builder has tried."""
    if job.precision == "fp32":
        if job.attention not in (None, "float"):
            raise UsageError(f"--attention {job.attention}: is for --fp16; in float32 no kernel fuses attention")
        return "float"
    if backend == TORCH_TENSORRT and job.attention == "products":
        raise UsageError("--attention products: torch-tensorrt takes fused or float")
    if backend != TENSORRT:
        return job.attention or "fused"
    version = machine.tensorrt(TENSORRT).__version__
    if job.attention == "fused" and not knows_attention(version):
        raise UsageError(
            f"--attention fused: takes TensorRT 10.14 or later; here is {version}",
            mend="leave --attention out, or install a later one: pip install --upgrade tensorrt",
        )
    return job.attention or ("fused" if knows_attention(version) else "products")


def _check_buffers(job: BuildJob, profile: Profile) -> None:
    if profile.buffer_bytes > MAX_BUFFERS:
        raise UsageError(
            f"--batch {job.batch} --size {job.size}: {profile.buffer_bytes / 2**30:.0f} GiB of pictures at once; "
            f"lgnet runs no plan that takes over {MAX_BUFFERS >> 30}",
            mend="give a smaller --batch or --size",
        )


def _capabilities(job: BuildJob, attention: Form, backend: str, machine: Machine) -> tuple[str, ...]:
    """Those that are named, each once."""
    if job.capabilities is None:
        return _default_capabilities(attention, backend, machine)
    named = [part.strip() for part in job.capabilities.split(",")]
    if not set(named) <= set(CAPABILITIES):
        raise UsageError(f"--sm {job.capabilities}: expected some of {','.join(CAPABILITIES)}")
    return tuple(dict.fromkeys(named))


def _default_capabilities(attention: Form, backend: str, machine: Machine) -> tuple[str, ...]:
    """For TensorRT-RTX the GPU that is here, where it builds for that; ahead of time, all that can be."""
    if backend != TENSORRT_RTX:
        return ()
    here = machine.gpu.capability.replace(".", "") if machine.gpu else ""
    if here in CAPABILITIES:
        return (here,)
    check_target(machine)
    return tuple(c for c in CAPABILITIES if c != TURING or attention != "float")


def check_target(machine: Machine) -> None:
    """Raises MissingBackend where TensorRT-RTX does not build for the GPU that is here."""
    if machine.gpu and machine.gpu.capability.replace(".", "") not in CAPABILITIES:
        raise MissingBackend(
            f"TensorRT-RTX does not build for this machine's GPU ({machine.gpu.name}, compute capability "
            f"{machine.gpu.capability})",
            mend=f"use TensorRT itself: {INSTALL[TENSORRT]}; or build for others': --sm {','.join(CAPABILITIES)}",
        )
