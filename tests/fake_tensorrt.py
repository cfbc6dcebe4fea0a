"""A device, its driver and TensorRT as far as `engines/tensorrt_api.py` and `engines/libraries.py` say they are used.

Work given to a stream is done when the stream is synchronised and not before, and fresh memory holds POISON: whoever
reads a result too early, or reuses a buffer whose copy is still to come, gets wrong pixels. Every call asks for the
context to be current on its thread, as CUDA does.
"""

import enum
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime

from lgnet_cli.engines.machine import Gpu, Machine
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import MissingBackend
from lgnet_cli.spec import FILLED, IMAGE, MASK

POISON = 0xA5
MAGIC = b"FAKEPLAN"
Compute = Callable[[Pixels, Pixels], Pixels]


def paint(image: Pixels, mask: Pixels) -> Pixels:
    """A fill that tells images apart: holes get the inverse of their image's first pixel."""
    return np.where(mask[..., None] != 0, 255 - image[:, :1, :1], image)


class CudaError(Exception):
    """As pycuda's: no subclass of RuntimeError."""


class Stream:
    def __init__(self, driver: "FakeDriver", flags: int = 0) -> None:
        driver.need_context()
        assert flags == 1, "a stream that waits for others' work on the default stream"
        self.handle = len(driver.streams) + 1  # 0 is the default stream
        self.queue: list[Callable[[], None]] = []
        self.kept: list[Callable[[], None]] | None = None  # while it is captured
        self.driver = driver
        driver.streams.append(self)

    def give(self, what: str, work: Callable[[], None]) -> None:
        self.driver.need_context()
        if self.kept is not None:
            self.kept.append(work)
            return
        self.driver.events.append((what, self.handle))
        self.queue.append(work)

    def synchronize(self) -> "Stream":
        self.driver.need_context()
        self.driver.events.append(("synchronize", self.handle))
        if self.driver.dead:
            raise CudaError("cuStreamSynchronize failed: an illegal memory access was encountered")
        while self.queue:
            self.queue.pop(0)()
        return self


class Graph:
    """Captured work."""

    def __init__(self, works: list[Callable[[], None]], driver: "FakeDriver") -> None:
        self.works, self.driver = works, driver
        driver.graphs += 1

    def launch(self, stream: Stream) -> None:
        assert self.works
        stream.give("graph", lambda: [work() for work in self.works] and None)

    def free(self) -> None:
        self.works = []
        self.driver.graphs -= 1


class Context:
    def __init__(self, driver: "FakeDriver") -> None:
        self.driver = driver

    def push(self) -> None:
        assert not self.driver.detached
        self.driver.stack().append(self)

    def pop(self) -> None:
        self.driver.stack().pop()

    def detach(self) -> None:
        assert not self.driver.detached
        self.driver.detached = True


class Allocation:
    def __init__(self, driver: "FakeDriver", address: int) -> None:
        self.driver, self.address = driver, address

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        self.driver.need_context()
        del self.driver.memory[self.address]


class Event:
    """Its clock is the host's, read when the stream reaches it."""

    def __init__(self, driver: "FakeDriver") -> None:
        driver.need_context()
        self.when = 0.0

    def record(self, stream: Stream) -> None:
        stream.give("mark", lambda: setattr(self, "when", time.perf_counter()))

    def time_till(self, event: "Event") -> float:
        return 1000 * (event.when - self.when)


class HostMemory:
    """Page-locked: the base of the array that shows it."""

    def __init__(self, driver: "FakeDriver", array: Pixels) -> None:
        self.driver, self.array = driver, array
        self.__array_interface__ = array.__array_interface__
        driver.pinned += 1

    def free(self) -> None:
        self.driver.need_context()
        self.driver.pinned -= 1


class Device:
    def __init__(self, driver: "FakeDriver") -> None:
        self.driver = driver

    def name(self) -> str:
        return "Fake GPU"

    def compute_capability(self) -> tuple[int, int]:
        return 8, 9

    def retain_primary_context(self) -> Context:
        self.driver.retained += 1
        return Context(self.driver)


class FakeDriver:
    """Satisfies `Driver`. `fails` names calls that raise."""

    def __init__(self) -> None:
        self.memory: dict[int, Pixels] = {}
        self.streams: list[Stream] = []
        self.events: list[tuple[str, int]] = []
        self.fails: set[str] = set()
        self.detached = False
        self.retained = 0
        self.pinned = 0  # page-locked allocations
        self.graphs = 0
        self.dead = False  # after an error that a context does not survive
        self.allocations = 1000  # that there is memory for
        self._local = threading.local()

    def stack(self) -> list[Context]:
        self._local.__dict__.setdefault("stack", [])
        return self._local.stack  # type: ignore[no-any-return]

    def need_context(self) -> None:
        assert self.stack(), "no context is current on this thread"
        assert not self.detached

    def init(self) -> None:
        if "init" in self.fails:
            raise CudaError("cuInit failed: no CUDA-capable device is detected")

    def Device(self, index: int) -> Device:  # noqa: N802
        assert index == 0
        if "Device" in self.fails:
            raise CudaError("cuDevicePrimaryCtxRetain failed: exclusive-thread device already in use")
        return Device(self)

    def Stream(self, flags: int = 0) -> Stream:  # noqa: N802
        return Stream(self, flags)

    def capture(self, stream: Stream, work: Callable[[], bool]) -> Graph:
        self.need_context()
        stream.kept = []
        try:
            worked = work()
        finally:
            works, stream.kept = stream.kept, None
        if not worked or "capture" in self.fails:
            raise CudaError("the work cannot be captured (900)")
        return Graph(works, self)

    def Event(self) -> "Event":  # noqa: N802
        return Event(self)

    def mem_get_info(self) -> tuple[int, int]:
        self.need_context()
        return (24 << 30) - sum(array.size for array in self.memory.values()), 24 << 30

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> Pixels:
        self.need_context()
        return np.asarray(HostMemory(self, np.full(shape, POISON, dtype)))

    def mem_alloc(self, bytes: int) -> Allocation:
        self.need_context()
        if len(self.memory) >= self.allocations:
            raise CudaError("cuMemAlloc failed: out of memory")
        address = 4096 * (len(self.memory) + 1)
        self.memory[address] = np.full(bytes, POISON, np.uint8)
        return Allocation(self, address)

    def memcpy_htod_async(self, dest: int, src: Pixels, stream: Stream) -> None:
        assert src.flags.c_contiguous

        def copy() -> None:
            self.memory[dest][: src.size] = src.reshape(-1)

        stream.give("in", copy)

    def memcpy_dtoh_async(self, dest: Pixels, src: int, stream: Stream) -> None:
        if "memcpy_dtoh_async" in self.fails:
            raise CudaError("cuMemcpyDtoHAsync failed: an illegal memory access was encountered")
        assert dest.flags.c_contiguous

        def copy() -> None:
            dest.reshape(-1)[:] = self.memory[src][: dest.size]

        stream.give("out", copy)


class Kind(enum.Enum):
    HALF = 1
    FLOAT = 2
    UINT8 = 3
    OTHER = 4


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3


class ILogger:
    Severity = Severity

    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    pass


class Tensor:
    def __init__(self, dtype: Kind) -> None:
        self.dtype = dtype


class Layer:
    def __init__(self, name: str, type: str, outputs: list[Kind]) -> None:
        self.name, self.type, self.num_outputs, self.outputs = name, type, len(outputs), outputs

    def get_output(self, index: int) -> Tensor:
        return Tensor(self.outputs[index])


class Network:
    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.graph = b""

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def get_layer(self, index: int) -> Layer:
        return self.layers[index]


class Config:
    def __init__(self, trt: "FakeTensorRT") -> None:
        self.trt = trt
        self.profiles: list[dict[str, Any]] = []
        self.builder_optimization_level = 3
        self.progress_monitor: Any = None
        self.hardware_compatibility_level = "NONE"
        self.profiling_verbosity = "LAYER_NAMES_ONLY"
        self.flags = {"TF32"}
        self.pools: dict[str, int] = {}
        self.cache = b""
        self.capabilities: list[str] = []
        self.num_compute_capabilities = 0

    def add_optimization_profile(self, profile: "Shapes") -> int:
        self.profiles.append(profile.shapes)
        return len(self.profiles) - 1

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool: str, pool_size: int) -> None:
        self.pools[pool] = pool_size

    def create_timing_cache(self, serialized_timing_cache: bytes) -> "Cache":
        return Cache(serialized_timing_cache)

    def set_timing_cache(self, cache: "Cache", ignore_mismatch: bool) -> bool:
        self.cache = cache.data
        return not ignore_mismatch and "set_timing_cache" not in self.trt.fails

    def get_timing_cache(self) -> "Cache":
        return Cache(self.cache + b"timed")

    def set_compute_capability(self, compute_capability: str, index: int) -> bool:
        self.capabilities.append(compute_capability)
        return "set_compute_capability" not in self.trt.fails


class Cache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data


class Shapes:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes[name] = [list(min), list(opt), list(max)]


class Builder:
    def __init__(self, trt: "FakeTensorRT", log: ILogger) -> None:
        self.trt, self.log = trt, log

    def create_network(self, flags: int) -> Network:
        assert flags == 1 << 1, "strongly typed and nothing else"
        return Network()

    def create_builder_config(self) -> Config:
        self.trt.config = Config(self.trt)
        return self.trt.config

    def create_optimization_profile(self) -> Shapes:
        return Shapes()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 2)
        monitor.phase_start("Timing", "Building", 1)
        going = monitor.step_complete("Timing", 0)
        monitor.phase_finish("Timing")
        monitor.phase_finish("Building")
        for message in self.trt.says:
            self.log.log(Severity.WARNING, message)
        if self.trt.unfused and b"Attention" in network.graph:
            self.log.log(Severity.ERROR, "CHECK(composite_op->is_decomposable()) failed. Attention operation ...")
            return None
        if not going or "build" in self.trt.fails:
            return None
        return plan_bytes(*(profile[IMAGE] for profile in config.profiles), graph=network.graph)


class OnnxParser:
    def __init__(self, network: Network) -> None:
        self.network, self.num_errors = network, 0

    def parse_from_file(self, path: str) -> bool:
        model = onnx.load(path)
        self.network.graph = model.SerializeToString()
        inferred = onnx.shape_inference.infer_shapes(model).graph
        kinds = {v.name: v.type.tensor_type.elem_type for v in [*inferred.value_info, *inferred.output]}
        names = {onnx.TensorProto.FLOAT16: Kind.HALF, onnx.TensorProto.FLOAT: Kind.FLOAT}
        for node in model.graph.node:
            outputs = [names.get(kinds.get(name, 0), Kind.OTHER) for name in node.output]
            self.network.layers.append(Layer(node.name, node.op_type, outputs))
        return True

    def get_error(self, index: int) -> Any:
        raise AssertionError


class ExecutionContext:
    def __init__(self, engine: "Engine") -> None:
        self.engine, self.trt = engine, engine.trt
        self.profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert self.trt.driver.streams[stream_handle - 1]
        self.profile, self.shapes = profile_index, {}
        return "set_optimization_profile_async" not in self.trt.fails

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.engine.profiles[self.profile][name]
        inside = all(low <= extent <= high for low, extent, high in zip(least, shape, most, strict=True))
        self.shapes[name] = shape
        return inside and "set_input_shape" not in self.trt.fails

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return "set_tensor_address" not in self.trt.fails

    def infer_shapes(self) -> list[str]:
        if "infer_shapes raises" in self.trt.fails:
            raise RuntimeError("infer_shapes failed")
        return ["image"] if "infer_shapes" in self.trt.fails else []

    def execute_async_v3(self, stream_handle: int) -> bool:
        if "execute_async_v3" in self.trt.fails:
            self.trt.log.log(Severity.ERROR, "enqueueV3: out of memory")
            return False
        driver = self.trt.driver
        shapes, addresses = dict(self.shapes), dict(self.addresses)  # taken when it is enqueued, as TensorRT does

        def work() -> None:
            inputs = [driver.memory[addresses[n]][: int(np.prod(shapes[n]))].reshape(shapes[n]) for n in (IMAGE, MASK)]
            filled = self.trt.spoil(self.engine.compute(*inputs), inputs[1], stream_handle)
            driver.memory[addresses[FILLED]][: filled.size] = filled.reshape(-1)

        driver.streams[stream_handle - 1].give("compute", work)
        if driver.streams[stream_handle - 1].kept is None:
            self.trt.batches.append(shapes[IMAGE])
            self.trt.profiles.append(self.profile)
        return True


class Engine:
    num_io_tensors = 3

    def __init__(self, trt: "FakeTensorRT", profiles: list[list[Any]], compute: Compute) -> None:
        self.trt, self.compute = trt, compute
        self.profiles = [{IMAGE: profile, MASK: [shape[:3] for shape in profile]} for profile in profiles]
        self.num_optimization_profiles = len(profiles)

    def create_engine_inspector(self) -> "Inspector":
        self.trt.driver.need_context()
        return Inspector()

    def get_tensor_name(self, index: int) -> str:
        return (IMAGE, MASK, FILLED if "foreign" not in self.trt.fails else "logits")[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in (IMAGE, MASK) else "output"

    def get_tensor_dtype(self, name: str) -> Kind:
        return Kind.UINT8

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        return self.profiles[profile_index][name]  # type: ignore[no-any-return]

    def create_runtime_config(self) -> "RuntimeConfig":
        return RuntimeConfig(self.trt)

    def create_execution_context(self, runtime_config: "RuntimeConfig | None" = None) -> ExecutionContext | None:
        self.trt.driver.need_context()
        self.trt.configs.append(runtime_config)
        return None if "create_execution_context" in self.trt.fails else ExecutionContext(self)


class Inspector:
    def get_engine_information(self, format: str) -> str:
        layers = ["Reformatting CopyNode", {"Name": "_gemm_mha_v2_0x1"}, {"Name": "conv"}]
        return json.dumps({"Layers": layers, "Format": format})


class RuntimeCache:
    """Compiled kernels: what a cache read before holds, and one more."""

    def __init__(self, trt: "FakeTensorRT") -> None:
        self.trt, self.data = trt, b""

    def deserialize(self, blob: bytes) -> bool:
        self.trt.driver.need_context()
        if not blob.startswith(b"KERNELS"):
            return False
        self.data = blob
        return True

    def serialize(self) -> bytes:
        return self.data or b"KERNELS"


class RuntimeConfig:
    def __init__(self, trt: "FakeTensorRT") -> None:
        self.trt = trt
        self.dynamic_shapes_kernel_specialization_strategy = "LAZY"
        self.cuda_graph_strategy = "DISABLED"
        self.cache: RuntimeCache | None = None

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache(self.trt)

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True


class Runtime:
    def __init__(self, trt: "FakeTensorRT", log: ILogger) -> None:
        self.trt, self.log = trt, log

    def get_engine_validity(self, buffer: bytes) -> tuple[str, str]:
        return self.trt.validity, "a driver of another kind"

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
        self.trt.deserialized += 1
        if self.trt.loading:
            self.log.log(Severity.WARNING, self.trt.loading)
        if not serialized_engine.startswith(MAGIC):
            self.log.log(Severity.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed")
            return None
        header, _, graph = serialized_engine.removeprefix(MAGIC).partition(b"\n")
        runs_graph = graph and "wrong" not in self.trt.fails
        return Engine(self.trt, json.loads(header), _through_onnxruntime(graph) if runs_graph else self.trt.compute)


class Enumeration:
    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, name)


class Flags(enum.IntEnum):
    STRONGLY_TYPED = 1


class FakeTensorRT:
    """Satisfies `TensorRT`. `fails` names calls that give False or None (and "wrong": plans run `compute` instead of
    their graph); `says` are warnings of the builder."""

    DataType = Kind
    ILogger, IProgressMonitor = ILogger, IProgressMonitor
    LayerType = Enumeration("CONVOLUTION", "DECONVOLUTION")
    BuilderFlag = Enumeration("TF32")
    ProfilingVerbosity = Enumeration("LAYER_NAMES_ONLY", "DETAILED")
    LayerInformationFormat = Enumeration("JSON", "ONELINE")
    MemoryPoolType = Enumeration("WORKSPACE")
    HardwareCompatibilityLevel = Enumeration("NONE", "AMPERE_PLUS", "SAME_COMPUTE_CAPABILITY")
    NetworkDefinitionCreationFlag = Flags
    EngineValidity = Enumeration("VALID", "SUBOPTIMAL", "INVALID")
    DynamicShapesKernelSpecializationStrategy = Enumeration("LAZY", "EAGER", "NONE")
    CudaGraphStrategy = Enumeration("DISABLED", "WHOLE_GRAPH_CAPTURE")
    ComputeCapability = Enumeration("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")

    class TensorIOMode:
        INPUT = "input"

    def __init__(self, driver: FakeDriver, compute: Compute = paint, version: str = "99.1") -> None:
        self.__version__, self.__name__ = version, f"fake{id(self)}"
        self.driver, self.compute = driver, compute
        self.fails: set[str] = set()
        self.says: list[str] = []
        self.spoil: Callable[[Pixels, Pixels, int], Pixels] = lambda filled, masks, stream: (
            filled
        )  # what comes out wrong, on which
        self.validity = "VALID"
        self.configs: list[RuntimeConfig | None] = []  # of the contexts made
        self.loading = ""  # what is said while a plan loads
        self.unfused = False  # whether no kernel computes attention whole
        self.batches: list[tuple[int, ...]] = []
        self.profiles: list[int] = []  # that each batch was computed in
        self.deserialized = 0
        self.config: Config | None = None
        self.log: Any = None

    def _start(self, what: str, log: ILogger) -> None:
        """As pybind11 does it where what its constructor calls gives null."""
        if what in self.fails:
            log.log(Severity.WARNING, "CUDA lazy loading is not enabled")
            log.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            log.log(Severity.WARNING, "and another word")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def Builder(self, log: ILogger) -> Builder:  # noqa: N802
        self._start("Builder", log)
        return Builder(self, log)

    def OnnxParser(self, network: Network, log: ILogger) -> OnnxParser:  # noqa: N802
        return OnnxParser(network)

    def Runtime(self, log: ILogger) -> Runtime:  # noqa: N802
        self.log = log
        self._start("Runtime", log)
        return Runtime(self, log)


def plan_bytes(*profiles: list[Any], graph: bytes = b"") -> bytes:
    """A plan that the fake runs: by ONNX Runtime if it holds a graph, else by its own `compute`."""
    return MAGIC + json.dumps(profiles).encode() + b"\n" + graph


def fake_machine(trt: FakeTensorRT | None = None, *, gpu: bool = True, missing: tuple[str, ...] = ()) -> Machine:
    """A machine with the fake device, without what is in `missing`."""
    used = trt or FakeTensorRT(FakeDriver())

    def tensorrt(flavour: str) -> Any:
        if flavour in missing:
            raise MissingBackend(f"{flavour} cannot be used here", mend="install it")
        return used

    def driver() -> Any:
        if "driver" in missing:
            raise MissingBackend("no NVIDIA driver is here", mend="install it")
        used.driver.init()
        return used.driver

    device = Gpu("Fake GPU", "8.9", "13.0", 24 << 30) if gpu else None
    return Machine(device, tensorrt, driver, lambda name: name not in missing, lambda: used.driver, lambda flavour: 13)


def _through_onnxruntime(graph: bytes) -> Compute:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def compute(image: Pixels, mask: Pixels) -> Pixels:
        filled = [session.run([FILLED], {IMAGE: image[i : i + 1], MASK: mask[i : i + 1]})[0] for i in range(len(image))]
        return np.concatenate(filled)

    return compute
