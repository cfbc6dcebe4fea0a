"""An exported graph into a plan: TensorRT on the machine that has the GPU, TensorRT-RTX on any machine.

Code for TensorRT 10 and 11 alike. Networks are strongly typed: the graph's own types are the precision, and what was
parsed is counted, because no flag of the builder could be trusted to have made it so.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import onnx

from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import ModelError, UsageError
from lgnet_cli.spec import IMAGE, MASK

from . import tensorrt_api as api
from .libraries import TensorRT
from .nvidia.forms import Form
from .nvidia.profile import Profile
from .nvidia.start import new_builder
from .plan import EXPECTED_HALF_SHARE, Precision
from .tensorrt_log import Words, log_of

MAX_CACHE = 1 << 30
"""Bytes of a timing cache; ours are some megabytes."""

FUSED_KERNEL = b"_gemm_mha_v2_0x"
"""Begins the name of a fused attention kernel in a plan of TensorRT-RTX, which was read there; nothing documents it."""

NOT_FUSED = "is_decomposable"
"""From TensorRT's error about an attention that it may not take apart and has no kernel for."""


class NotFused(ModelError):
    """The builder has no fused kernel for an attention of the graph on a GPU that it builds for."""


class Progress(Protocol):
    """What is told of the builder's phases, which nest: each has a name, its parent's, and a number of steps."""

    def start(self, phase: str, parent: str | None, steps: int) -> None: ...
    def step(self, phase: str, step: int) -> None: ...
    def finish(self, phase: str) -> None: ...


@dataclass(frozen=True)
class Order:
    """How to build."""

    precision: Precision  # the graph must have it
    profile: Profile
    capabilities: tuple[str, ...] = ()  # of CAPABILITIES, for TensorRT-RTX; () for the GPU that is here
    workspace: float | None = None  # GiB of scratch memory; None leaves it to the builder
    level: int | None = None  # 0 to 5: how hard to search; None leaves it to the builder
    timing_cache: Path | None = None  # read if there, and written
    attention: Form = "fused"  # how it stands in the graph; for fp16
    portable: bool = False  # for all GPUs of this one's compute capability, not for this model of GPU alone
    tf32: bool = True  # whether float32 products may round their factors to 10 bits, as half does
    detailed: bool = False  # whether the plan says how it computes each layer


@dataclass(frozen=True)
class Count:
    """A parsed network's types."""

    half: int  # tensors in half
    floating: int  # tensors in half or float
    float_convolutions: list[str]  # layers that convolve in float
    attention: int = 0  # operators that a kernel computes whole: the builder fuses each, or fails

    @property
    def share(self) -> float:
        return self.half / max(self.floating, 1)

    def __str__(self) -> str:
        return f"{self.half} of {self.floating} floating-point tensors in half ({100 * self.share:.0f} %)"


@dataclass(frozen=True)
class Built:
    """A plan, not yet written."""

    plan: memoryview
    count: Count
    seconds: float

    @property
    def fused_kernels(self) -> int:
        """In the plan, by their name; several for each attention, since one plan serves several shapes and GPUs."""
        return self.plan.tobytes().count(FUSED_KERNEL)


def build_plan(trt: TensorRT, graph: Path, order: Order, progress: Progress) -> Built:
    """Build `graph` as `order` says.

    Args:
        trt: `tensorrt`, or `tensorrt_rtx_bindings`.
        graph: ONNX as `export.py` writes it; its types decide the precision, and must be those of `order`.
        order: how.
        progress: is told the builder's phases, from whatever thread the builder uses.

    Raises:
        ModelError: the graph cannot be parsed (with the node's name) or built, or is of another precision.
        MissingBackend: TensorRT cannot start.
        NotFused: no kernel computes its attention whole.
        UsageError: the profile does not fit the graph.
        KeyboardInterrupt: Ctrl-C; the builder has stopped.
    """
    started = time.perf_counter()
    log = log_of(trt)
    log.words.clear()
    builder = new_builder(trt, log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, graph, log)
    count = replace(count_types(trt, network), attention=_operators(graph))
    check_count(graph, count, order.precision)
    config = _configured(trt, builder, order)
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    _check_built(graph, plan, log.words, monitor.interrupted)
    if order.timing_cache:
        write_bytes(order.timing_cache, memoryview(cast(Any, config.get_timing_cache().serialize())))
    return Built(memoryview(cast(Any, plan)), count, time.perf_counter() - started)


def count_types(trt: TensorRT, network: api.INetworkDefinition) -> Count:
    """Count the tensors that the network's layers give, by type."""
    kinds, half, floating, convolutions = trt.DataType, 0, 0, []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        types = [layer.get_output(i).dtype for i in range(layer.num_outputs)]
        half += sum(t == kinds.HALF for t in types)
        floating += sum(t in (kinds.HALF, kinds.FLOAT) for t in types)
        if layer.type in (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION) and kinds.FLOAT in types:
            convolutions.append(layer.name)
    return Count(half, floating, convolutions)


def check_count(graph: Path, count: Count, precision: str) -> None:
    """Raises ModelError where the network is not of `precision`: a float32 engine under the name of fp16, say."""
    mend = f"export the graph anew from its weights: lgnet build-engine WEIGHTS --{precision}"
    if precision == "fp32" and count.half:
        raise ModelError(f"{graph}: asked for fp32, but {count}", mend=mend)
    if precision == "fp16" and count.share < EXPECTED_HALF_SHARE:
        least = f"lgnet's own have over {100 * EXPECTED_HALF_SHARE:.0f} %"
        raise ModelError(f"{graph}: asked for fp16, but {count}; {least}", mend=mend)
    if precision == "fp16" and count.float_convolutions:
        named = ", ".join(count.float_convolutions[:3])
        raise ModelError(f"{graph}: asked for fp16, but these convolve in float32: {named}", mend=mend)


def check_fused(graph: Path, count: Count, kernels: int) -> None:
    """Raises ModelError where a plan of TensorRT-RTX has fewer fused kernels than its network has attentions."""
    if kernels < count.attention:
        raise ModelError(
            f"{graph}: {count.attention} attentions to fuse, but {kernels} fused attention kernels are in the plan, by "
            f"the name that TensorRT-RTX 1.7 gives them ({FUSED_KERNEL.decode()})",
            mend="if yours names them otherwise, --keep writes the plan all the same; please report it",
        )


def _parse(trt: TensorRT, network: api.INetworkDefinition, graph: Path, log: Any) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(str(graph)):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    said = [f"node {e.node_name()!r} ({e.node_operator()}): {' '.join(e.desc().split())}" for e in errors]
    raise ModelError(
        f"{graph}: TensorRT cannot parse it: {'; '.join(said) or log.words.last()}",
        mend="export the graph anew from its weights: lgnet build-engine WEIGHTS",
    )


def _configured(trt: TensorRT, builder: api.Builder, order: Order) -> api.IBuilderConfig:
    config = builder.create_builder_config()
    for profile in filter(None, (order.profile, order.profile.singles)):
        shapes = builder.create_optimization_profile()
        extents = [(n, s, s) for n, s in zip(profile.batch, profile.side, strict=True)]
        shapes.set_shape(IMAGE, *((*extent, 3) for extent in extents))
        shapes.set_shape(MASK, *extents)
        if config.add_optimization_profile(shapes) < 0:
            raise UsageError(f"the builder refuses the profile {profile}")
    if order.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(order.workspace * 2**30))
    if order.level is not None:
        config.builder_optimization_level = order.level
    if order.capabilities:
        _target(trt, cast(api.IBuilderConfigRtx, config), order.capabilities)
    if order.timing_cache:
        _set_timing_cache(config, order.timing_cache)
    if not order.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if order.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if order.portable:
        config.hardware_compatibility_level = _same_capability(trt)
    return config


def _same_capability(trt: TensorRT) -> Any:
    """Raises UsageError where this TensorRT does not know it: those before 10.9 or so."""
    level = getattr(trt.HardwareCompatibilityLevel, "SAME_COMPUTE_CAPABILITY", None)
    if level is None:
        raise UsageError(
            f"--portable: TensorRT {trt.__version__} builds for one model of GPU alone",
            mend="install a later one: pip install --upgrade tensorrt",
        )
    return level


def _target(trt: TensorRT, config: api.IBuilderConfigRtx, capabilities: tuple[str, ...]) -> None:
    config.num_compute_capabilities = len(capabilities)
    for index, name in enumerate(capabilities):
        if not config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{name}"), index):
            raise UsageError(f"--sm {name}: this TensorRT-RTX does not build for it")


def _set_timing_cache(config: api.IBuilderConfig, path: Path) -> None:
    if path.exists() and path.stat().st_size > MAX_CACHE:
        raise UsageError(f"{path}: too large for a timing cache", mend="delete it, and the build starts a new one")
    cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        raise UsageError(
            f"{path}: a timing cache of another TensorRT or GPU", mend="delete it, and the build starts a new one"
        )


def _check_built(graph: Path, plan: object, words: Words, interrupted: bool) -> None:
    if interrupted:
        raise KeyboardInterrupt
    if words.inconsistent:
        raise UsageError(f"the profile does not fit {graph.name}: {words.inconsistent}")
    unfused = words.find(NOT_FUSED)
    if plan is None and unfused:
        raise NotFused(
            f"{graph}: the builder has no fused kernel for its attention on these GPUs: {' '.join(unfused.split())}",
            mend="build it with --attention products, which may be slower and take far more memory",
        )
    if plan is None:
        mend = "a smaller --batch or --size, or more --workspace, may help"
        raise ModelError(f"{graph}: the builder failed: {words.last()}", mend=mend)


def _operators(graph: Path) -> int:
    """How many attentions of a graph stand in it as one operator."""
    return sum(node.op_type == "Attention" for node in onnx.load(graph, load_external_data=False).graph.node)


def _monitor(trt: TensorRT, progress: Progress) -> Any:
    """The builder's callbacks as calls of `progress`. They may not raise, so Ctrl-C becomes "stop"."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False

        def guarded(self, call: Callable[..., None], *arguments: object) -> None:
            try:
                call(*arguments)
            except KeyboardInterrupt:
                self.interrupted = True

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.guarded(progress.start, phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self.guarded(progress.finish, phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.guarded(progress.step, phase_name, step)
            return not self.interrupted

    return Monitor()
