"""The modules of others that engines on a GPU stand on, loaded when they are wanted; what is missing is named.

They are passed on as parameters, so that tests run the same code on a fake device.
"""

import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lgnet_cli.errors import MissingBackend

from . import tensorrt_api as api

TENSORRT, TENSORRT_RTX, TORCH_TENSORRT, PYCUDA = "tensorrt", "tensorrt-rtx", "torch-tensorrt", "pycuda"

CAPABILITIES = ("75", "80", "86", "89", "120", "121")
"""What TensorRT-RTX builds for ahead of time."""

TURING = "75"
"""Of these, the one where it multiplies matrices in half alone."""

INSTALL = {
    TENSORRT: "pip install 'lgnet[tensorrt]'",
    TENSORRT_RTX: "pip install 'lgnet[rtx]'",
    TORCH_TENSORRT: "pip install 'lgnet[torch-tensorrt]'",
    PYCUDA: "pip install 'lgnet[pycuda]'  (it is compiled, by the CUDA toolkit)",
}
_MODULES = {
    TENSORRT: ("tensorrt",),
    TENSORRT_RTX: ("tensorrt_rtx_bindings", "onnxruntime_ep_nv_tensorrt_rtx"),
    TORCH_TENSORRT: ("torch_tensorrt",),
    PYCUDA: ("pycuda",),
}


_PACKAGES = {TENSORRT: "tensorrt-cu{}", TENSORRT_RTX: "tensorrt-rtx-cu{}-bindings"}
_CUDA_MAJORS = (13, 12, 11)


class TensorRT(Protocol):
    """The module `tensorrt` or `tensorrt_rtx_bindings`: one interface, but for IBuilderConfigRtx."""

    __version__: str
    ILogger: Any  # a class to derive from
    IProgressMonitor: Any  # likewise
    Builder: Callable[[Any], api.Builder]
    OnnxParser: Callable[[api.INetworkDefinition, Any], api.OnnxParser]
    Runtime: Callable[[Any], api.Runtime]
    DataType: api.DataType
    HardwareCompatibilityLevel: Any  # whose members differ by version
    LayerType: api.LayerType
    BuilderFlag: api.BuilderFlag
    ProfilingVerbosity: api.ProfilingVerbosity
    LayerInformationFormat: api.LayerInformationFormat
    MemoryPoolType: api.MemoryPoolType
    NetworkDefinitionCreationFlag: api.NetworkDefinitionCreationFlag
    TensorIOMode: api.TensorIOMode
    ComputeCapability: Any  # TensorRT-RTX alone, as are the next three
    EngineValidity: api.EngineValidity
    DynamicShapesKernelSpecializationStrategy: api.DynamicShapesKernelSpecializationStrategy
    CudaGraphStrategy: api.CudaGraphStrategy


class CudaStream(Protocol):
    """Work in order, done some time after it is asked for."""

    handle: int

    def synchronize(self) -> object: ...


class CudaEvent(Protocol):
    """A moment in a stream, by the device's clock."""

    def record(self, stream: CudaStream) -> object: ...
    def time_till(self, event: Any) -> float: ...  # milliseconds


class CudaContext(Protocol):
    def push(self) -> None: ...
    def pop(self) -> None: ...
    def detach(self) -> None: ...


class CudaDevice(Protocol):
    def name(self) -> str: ...
    def compute_capability(self) -> tuple[int, int]: ...
    def retain_primary_context(self) -> CudaContext: ...


class HostAllocation(Protocol):
    """The base of an array in page-locked memory."""

    def free(self) -> object: ...


class CudaMemory(Protocol):
    def __int__(self) -> int: ...
    def free(self) -> None: ...


class Graph(Protocol):
    """Work of a stream, sent at once ever after."""

    def launch(self, stream: CudaStream) -> None: ...
    def free(self) -> None: ...


class Graphs(Protocol):
    """What captures work: lgnet's own driver calls, also beside pycuda, which has none for it."""

    def capture(self, stream: CudaStream, work: Callable[[], bool]) -> Graph: ...


class Driver(Protocol):
    """The module `pycuda.driver`, as far as the runner uses it; `nvidia/driver.py` is another."""

    Device: Callable[[int], CudaDevice]
    Stream: Callable[[int], CudaStream]
    Event: Callable[[], CudaEvent]

    def init(self) -> None: ...
    def mem_get_info(self) -> tuple[int, int]: ...  # (free, all) bytes of the device
    def pagelocked_empty(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> NDArray[np.uint8]: ...
    def mem_alloc(self, bytes: int) -> CudaMemory: ...
    def memcpy_htod_async(self, dest: int, src: NDArray[np.uint8], stream: CudaStream) -> None: ...
    def memcpy_dtoh_async(self, dest: NDArray[np.uint8], src: int, stream: CudaStream) -> None: ...


def installed(name: str) -> bool:
    """Whether the packages of one of INSTALL's are there; they may still fail to load."""
    return all(importlib.util.find_spec(module) is not None for module in _MODULES[name])


def cuda_of(flavour: str) -> int:
    """The major version of CUDA that the installed package of `flavour` is for; 0 where its name does not say."""
    for major in _CUDA_MAJORS:
        with suppress(importlib.metadata.PackageNotFoundError, KeyError):
            importlib.metadata.version(_PACKAGES[flavour].format(major))
            return major
    return 0


def load_tensorrt(flavour: str) -> TensorRT:
    """The module of `flavour` (TENSORRT or TENSORRT_RTX). Raises MissingBackend."""
    try:
        module = importlib.import_module("tensorrt") if flavour == TENSORRT else _rtx()
    except (ImportError, OSError) as error:  # OSError: a library beneath it does not load
        raise MissingBackend(
            f"{flavour} cannot be used here: {str(error).partition(chr(10))[0]}",
            mend=f"install it with: {INSTALL[flavour]}",
        ) from error
    return cast(TensorRT, module)


def load_driver() -> Driver:
    """pycuda's driver module where it is installed, else lgnet's own, initialised.

    Raises MissingBackend: no NVIDIA driver, no device.
    """
    try:
        return initialised(cast(Driver, importlib.import_module("pycuda.driver")))
    except (ImportError, OSError):  # not installed, or compiled for what is not here
        return initialised(cast(Driver, own_driver()))


@functools.cache  # one for the process, as a module is
def own_driver() -> Graphs:
    """lgnet's own calls of the driver, which are a `Driver` too. Raises MissingBackend where there is none."""
    from .nvidia.driver import load

    try:
        return load()
    except OSError as error:
        raise MissingBackend(f"no NVIDIA driver is here: {error}", mend="install it; then check: nvidia-smi") from error


def initialised(driver: Driver) -> Driver:
    """`driver` after its `init`. Raises MissingBackend where there is no NVIDIA driver or device."""
    try:
        driver.init()
    except Exception as error:  # pycuda._driver.Error, whose class is not there without pycuda
        raise MissingBackend(
            f"no NVIDIA driver or device answers: {error}",
            mend="check with nvidia-smi; `lgnet doctor` says what this machine has",
        ) from error
    return driver


def check_skew(version: str, library: Path) -> None:
    """Raises ImportError where bindings of `version`, such as "1.7.1.116", are not those of a library such as
    libtensorrt_rtx.so.1.7.1: their packages are versioned apart, and other bindings crash in it."""
    its = library.name.partition(".so.")[2]
    if version and not f"{version}.".startswith(f"{its}."):
        raise ImportError(f"its bindings are {version} and its library is {library.name}; both must be of one version")


def _version_of(flavour: str) -> str:
    """Of the installed bindings, "" where it cannot be told."""
    major = cuda_of(flavour)
    return importlib.metadata.version(_PACKAGES[flavour].format(major)) if major else ""


def _rtx() -> Any:
    """TensorRT-RTX out of two packages: one holds the bindings, the other the libraries they need."""
    bindings = importlib.util.find_spec("tensorrt_rtx_bindings")
    libraries = importlib.util.find_spec("onnxruntime_ep_nv_tensorrt_rtx")
    if bindings is None or libraries is None or not libraries.submodule_search_locations:
        raise ImportError("its two packages are not both installed")
    folder = Path(libraries.submodule_search_locations[0])
    version = _version_of(TENSORRT_RTX)
    for start in ("libtensorrt_rtx.so.", "libtensorrt_onnxparser_rtx.so."):
        files = sorted(folder.glob(f"{start}*"))
        if not files:
            raise ImportError(f"{folder}: no {start}*")
        check_skew(version, files[-1])
        ctypes.CDLL(str(files[-1]), mode=ctypes.RTLD_GLOBAL)  # found under its name when the bindings ask for it
    return importlib.import_module("tensorrt_rtx_bindings")
