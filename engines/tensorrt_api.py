"""What lgnet uses of TensorRT, as protocols: each class has the name of TensorRT's, and only the members in use.

mypy holds the code to these classes, and a test holds these classes to the real bindings of TensorRT 10, TensorRT 11
and TensorRT-RTX. So a name that one of them lacks is found without a GPU. What TensorRT 11 removed (`BuilderFlag.FP16`,
`ILayer.precision` ...) is not here: networks are strongly typed, and the graph alone decides their precision.
"""

from typing import Any, Protocol


class Severity(Protocol):
    WARNING: Any
    ERROR: Any


class ILogger(Protocol):
    """Derived from, so that the builder's words reach our errors."""

    Severity: Severity


class IProgressMonitor(Protocol):
    """Derived from: its methods are what the builder calls."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
    def phase_finish(self, phase_name: str) -> None: ...
    def step_complete(self, phase_name: str, step: int) -> bool: ...


class DataType(Protocol):
    HALF: Any
    FLOAT: Any
    UINT8: Any


class LayerType(Protocol):
    CONVOLUTION: Any
    DECONVOLUTION: Any


class MemoryPoolType(Protocol):
    WORKSPACE: Any


class NetworkDefinitionCreationFlag(Protocol):
    STRONGLY_TYPED: Any


class BuilderFlag(Protocol):
    TF32: Any


class ProfilingVerbosity(Protocol):
    DETAILED: Any


class LayerInformationFormat(Protocol):
    JSON: Any


class EngineInspector(Protocol):
    def get_engine_information(self, format: Any) -> str: ...


class TensorIOMode(Protocol):
    INPUT: Any


class ITensor(Protocol):
    dtype: Any


class ILayer(Protocol):
    name: str
    type: Any
    num_outputs: int

    def get_output(self, index: int) -> ITensor: ...


class INetworkDefinition(Protocol):
    num_layers: int

    def get_layer(self, index: int) -> ILayer: ...


class ParserError(Protocol):
    def desc(self) -> str: ...
    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    num_errors: int

    def parse_from_file(self, path: str) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...


class IOptimizationProfile(Protocol):
    def set_shape(self, name: str, min: Any, opt: Any, max: Any) -> None: ...


class IHostMemory(Protocol):
    """The plan's bytes; `memoryview` reads them."""

    nbytes: int


class ITimingCache(Protocol):
    def serialize(self) -> IHostMemory: ...


class IBuilderConfig(Protocol):
    builder_optimization_level: int
    hardware_compatibility_level: Any
    profiling_verbosity: Any
    progress_monitor: Any

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int: ...
    def clear_flag(self, flag: Any) -> None: ...
    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache: ...
    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> ITimingCache: ...


class Builder(Protocol):
    def create_network(self, flags: int) -> INetworkDefinition: ...
    def create_builder_config(self) -> IBuilderConfig: ...
    def create_optimization_profile(self) -> IOptimizationProfile: ...
    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None: ...


class IExecutionContext(Protocol):
    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def infer_shapes(self) -> list[str]: ...
    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    num_io_tensors: int
    num_optimization_profiles: int

    def create_engine_inspector(self) -> EngineInspector: ...
    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> Any: ...
    def get_tensor_dtype(self, name: str) -> Any: ...
    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]: ...
    def create_execution_context(self, runtime_config: Any = ...) -> IExecutionContext | None: ...


class Runtime(Protocol):
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


class EngineValidity(Protocol):
    SUBOPTIMAL: Any
    INVALID: Any


class DynamicShapesKernelSpecializationStrategy(Protocol):
    EAGER: Any


class CudaGraphStrategy(Protocol):
    WHOLE_GRAPH_CAPTURE: Any


class IRuntimeCache(Protocol):
    def serialize(self) -> Any: ...  # IHostMemory
    def deserialize(self, blob: bytes) -> bool: ...


class IRuntimeConfig(Protocol):
    dynamic_shapes_kernel_specialization_strategy: Any
    cuda_graph_strategy: Any

    def create_runtime_cache(self) -> IRuntimeCache: ...
    def set_runtime_cache(self, cache: IRuntimeCache) -> bool: ...


class ICudaEngineRtx(ICudaEngine, Protocol):
    """What TensorRT-RTX adds: how contexts compile their kernels."""

    def create_runtime_config(self) -> IRuntimeConfig: ...


class RuntimeRtx(Runtime, Protocol):
    """What TensorRT-RTX adds: whether a plan can run here, asked before it is loaded."""

    def get_engine_validity(self, buffer: bytes) -> tuple[Any, str]: ...


class IBuilderConfigRtx(IBuilderConfig, Protocol):
    """What TensorRT-RTX adds: the compute capabilities to build for."""

    num_compute_capabilities: int

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool: ...
