"""What this machine can build with and run on: its GPU, and the modules of others."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lgnet_cli.errors import MissingBackend

from .libraries import (
    TENSORRT,
    TENSORRT_RTX,
    Driver,
    Graphs,
    TensorRT,
    cuda_of,
    installed,
    load_driver,
    load_tensorrt,
    own_driver,
)

CLOCK, MULTIPROCESSORS, MEMORY_CLOCK, BUS_WIDTH, MAJOR, MINOR = 13, 16, 36, 37, 75, 76
"""CU_DEVICE_ATTRIBUTE_...: clocks in kHz, the width of the memory's bus in bits, compute capability."""


@dataclass(frozen=True)
class Gpu:
    """The first CUDA device."""

    name: str
    capability: str  # compute capability, such as "8.9"
    cuda: str  # newest CUDA version that the driver serves, such as "13.0"
    memory: int  # bytes
    multiprocessors: int = 0
    clock: float = 0  # Hz, of its multiprocessors at most; 0 where the driver does not say
    bandwidth: float = 0  # bytes/s of its memory, likewise


@dataclass(frozen=True)
class Machine:
    """A machine; tests make one with a fake device."""

    gpu: Gpu | None
    tensorrt: Callable[[str], TensorRT]  # loads the module of a flavour, or raises MissingBackend
    driver: Callable[[], Driver]  # likewise
    installed: Callable[[str], bool]  # whether one of libraries.INSTALL is there
    graphs: Callable[[], Graphs] = own_driver
    cuda_of: Callable[[str], int] = cuda_of  # major version of CUDA that a flavour's package is for, 0 if unknown

    def runs(self, backend: str, capabilities: tuple[str, ...]) -> bool:
        """Whether it can run what `backend` builds for `capabilities` (such as "89"; () for the GPU at hand)."""
        if not self.gpu:
            return False
        return backend != TENSORRT_RTX or self.gpu.capability.replace(".", "") in capabilities

    def check_cuda(self, flavour: str) -> None:
        """Raises MissingBackend where the package of `flavour` is for a later CUDA than the driver serves."""
        wanted = self.cuda_of(flavour)
        if self.gpu and wanted > int(self.gpu.cuda.partition(".")[0]):
            older = f", or: pip uninstall tensorrt; pip install tensorrt-cu{wanted - 1}" if flavour == TENSORRT else ""
            raise MissingBackend(
                f"{flavour}: what is installed is for CUDA {wanted}, and the driver serves CUDA {self.gpu.cuda}",
                mend=f"install a newer driver{older}",
            )


def this_machine() -> Machine:
    return Machine(_gpu(), load_tensorrt, load_driver, installed)


def _gpu() -> Gpu | None:
    """The first CUDA device, or None without a driver or a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, version = ctypes.c_int(), ctypes.c_int()
    text, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    said = {attribute: ctypes.c_int() for attribute in (CLOCK, MULTIPROCESSORS, MEMORY_CLOCK, BUS_WIDTH, MAJOR, MINOR)}
    calls: tuple[Callable[[], int], ...] = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: driver.cuDriverGetVersion(ctypes.byref(version)),
        lambda: driver.cuDeviceGetName(text, len(text), device),
        lambda: driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        *(partial(driver.cuDeviceGetAttribute, ctypes.byref(said[name]), name, device) for name in (MAJOR, MINOR)),
    )
    if any(call() for call in calls):  # each gives 0 when it worked; the first that did not ends it
        return None
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    for name in (CLOCK, MULTIPROCESSORS, MEMORY_CLOCK, BUS_WIDTH):  # which stay 0 where the driver does not tell
        driver.cuDeviceGetAttribute(ctypes.byref(said[name]), name, device)
    at = {name: value.value for name, value in said.items()}
    bandwidth = 2 * 1000 * at[MEMORY_CLOCK] * at[BUS_WIDTH] / 8  # twice a clock
    return Gpu(
        text.value.decode(errors="replace"), f"{at[MAJOR]}.{at[MINOR]}", cuda, memory.value, at[MULTIPROCESSORS],
        1000 * at[CLOCK], bandwidth,
    )  # fmt: skip
