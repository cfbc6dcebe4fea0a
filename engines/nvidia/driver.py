"""NVIDIA's driver by ctypes: what the runner uses of pycuda, with nothing to compile and nothing to install.

Names and behaviour are those of `pycuda.driver`, which is taken instead where it is installed. Every call but `init`
and those of `Device` wants a context to be current on its thread.
"""

import ctypes as c
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgnet_cli.engines.libraries import CudaStream

OF_THIS_THREAD = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is not looked at."""

PORTABLE = 1
"""CU_MEMHOSTALLOC_PORTABLE: page-locked for every context."""


class CudaError(Exception):
    """A call of the driver that gave an error."""


def load() -> "Driver":
    """The driver of this machine. Raises OSError where there is none."""
    return Driver(c.CDLL("libcuda.so.1"))


class Driver:
    """Satisfies `libraries.Driver`."""

    name = "lgnet's own"

    def __init__(self, library: c.CDLL) -> None:
        self._library = library

    def call(self, function: str, *arguments: Any) -> None:
        """Raises CudaError with the driver's words. ctypes lets go of Python's lock meanwhile."""
        code = getattr(self._library, function)(*arguments)
        if code:
            said = c.c_char_p()
            self._library.cuGetErrorString(code, c.byref(said))
            raise CudaError(f"{function} failed: {(said.value or b'unknown error').decode()} ({code})")

    def init(self) -> None:
        self.call("cuInit", 0)

    def Device(self, index: int) -> "DriverDevice":  # noqa: N802
        return DriverDevice(self, index)

    def Stream(self, flags: int = 0) -> "DriverStream":  # noqa: N802
        return DriverStream(self, flags)

    def Event(self) -> "DriverEvent":  # noqa: N802
        return DriverEvent(self)

    def mem_get_info(self) -> tuple[int, int]:
        free, everything = c.c_size_t(), c.c_size_t()
        self.call("cuMemGetInfo_v2", c.byref(free), c.byref(everything))
        return free.value, everything.value

    def capture(self, stream: CudaStream, work: Callable[[], bool]) -> "DriverGraph":
        """What `work` sends to `stream`, not done but kept. Raises CudaError where it cannot be kept, or fails."""
        handle, graph, runs = c.c_void_p(stream.handle), c.c_void_p(), c.c_void_p()
        self.call("cuStreamBeginCapture_v2", handle, OF_THIS_THREAD)
        try:
            worked = work()
        finally:
            code = self._library.cuStreamEndCapture(handle, c.byref(graph))  # in any case: else the stream stays so
        try:
            if code or not worked:
                raise CudaError(f"the work cannot be captured ({code})")
            self.call("cuGraphInstantiateWithFlags", c.byref(runs), graph, c.c_ulonglong(0))
        finally:
            if graph:
                self._library.cuGraphDestroy(graph)
        return DriverGraph(self, runs)

    def pagelocked_empty(self, shape: tuple[int], dtype: type[np.uint8]) -> NDArray[np.uint8]:
        """One dimension of bytes; `.base` of the array is its allocation, which `free` gives back."""
        return np.asarray(HostMemory(self, shape[0]))

    def mem_alloc(self, bytes: int) -> "DeviceMemory":
        return DeviceMemory(self, bytes)

    def memcpy_htod_async(self, dest: int, src: NDArray[np.uint8], stream: "DriverStream") -> None:
        address, size = c.c_void_p(src.ctypes.data), c.c_size_t(src.nbytes)
        self.call("cuMemcpyHtoDAsync_v2", c.c_uint64(dest), address, size, c.c_void_p(stream.handle))

    def memcpy_dtoh_async(self, dest: NDArray[np.uint8], src: int, stream: "DriverStream") -> None:
        address, size = c.c_void_p(dest.ctypes.data), c.c_size_t(dest.nbytes)
        self.call("cuMemcpyDtoHAsync_v2", address, c.c_uint64(src), size, c.c_void_p(stream.handle))


class DriverDevice:
    def __init__(self, driver: Driver, index: int) -> None:
        self._driver, self._device = driver, c.c_int()
        driver.call("cuDeviceGet", c.byref(self._device), index)

    def name(self) -> str:
        text = c.create_string_buffer(256)
        self._driver.call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode(errors="replace")

    def retain_primary_context(self) -> "Context":
        return Context(self._driver, self._device)


class Context:
    """The device's primary context, which PyTorch and the CUDA runtime use too."""

    def __init__(self, driver: Driver, device: c.c_int) -> None:
        self._driver, self._device, self._handle = driver, device, c.c_void_p()
        driver.call("cuDevicePrimaryCtxRetain", c.byref(self._handle), device)

    def push(self) -> None:
        self._driver.call("cuCtxPushCurrent_v2", self._handle)

    def pop(self) -> None:
        self._driver.call("cuCtxPopCurrent_v2", c.byref(c.c_void_p()))

    def detach(self) -> None:
        self._driver.call("cuDevicePrimaryCtxRelease_v2", self._device)


class DriverStream:
    """Work in order. Freed with its last reference, which may be an error's, on whatever thread."""

    def __init__(self, driver: Driver, flags: int) -> None:
        self._driver, self._stream, self._context = driver, c.c_void_p(), c.c_void_p()
        driver.call("cuCtxGetCurrent", c.byref(self._context))
        driver.call("cuStreamCreate", c.byref(self._stream), flags)

    @property
    def handle(self) -> int:
        return self._stream.value or 0

    def synchronize(self) -> None:
        self._driver.call("cuStreamSynchronize", self._stream)

    def __del__(self) -> None:
        library = self._driver._library
        if self._stream and not library.cuCtxPushCurrent_v2(self._context):  # no error may leave here
            library.cuStreamDestroy_v2(self._stream)
            library.cuCtxPopCurrent_v2(c.byref(c.c_void_p()))


class DriverGraph:
    """Captured work that can be launched."""

    def __init__(self, driver: Driver, runs: c.c_void_p) -> None:
        self._driver, self._runs = driver, runs

    def launch(self, stream: CudaStream) -> None:
        self._driver.call("cuGraphLaunch", self._runs, c.c_void_p(stream.handle))

    def free(self) -> None:
        self._driver.call("cuGraphExecDestroy", self._runs)


class DriverEvent:
    """Lives as long as the process: a handful are made, to measure."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._event = driver, c.c_void_p()
        driver.call("cuEventCreate", c.byref(self._event), 0)

    def record(self, stream: DriverStream) -> None:
        self._driver.call("cuEventRecord", self._event, c.c_void_p(stream.handle))

    def time_till(self, event: "DriverEvent") -> float:
        milliseconds = c.c_float()
        self._driver.call("cuEventElapsedTime", c.byref(milliseconds), self._event, event._event)
        return milliseconds.value


class DeviceMemory:
    def __init__(self, driver: Driver, size: int) -> None:
        self._driver, self._address = driver, c.c_uint64()
        driver.call("cuMemAlloc_v2", c.byref(self._address), c.c_size_t(size))

    def __int__(self) -> int:
        return self._address.value

    def free(self) -> None:
        self._driver.call("cuMemFree_v2", self._address)


class HostMemory:
    """Page-locked, as numpy sees it. `free` gives it back once, and what arrays still show of it is gone then."""

    def __init__(self, driver: Driver, size: int) -> None:
        self._driver, self._address = driver, c.c_void_p()
        driver.call("cuMemHostAlloc", c.byref(self._address), c.c_size_t(size), PORTABLE)
        data = (self._address.value, False)
        self.__array_interface__ = {"data": data, "shape": (size,), "typestr": "|u1", "version": 3}

    def free(self) -> None:
        self._driver.call("cuMemFreeHost", self._address)
