"""A GPU's context, and what a plan holds on it: given back once, on whatever thread, also where nobody closes it.

The primary context is retained once a process and kept until it ends, as PyTorch and the CUDA runtime do. Given back
earlier it could be destroyed under others, and pycuda leaves a destroyed context current on the thread that does so.
"""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lgnet_cli.engines.libraries import CudaContext, CudaDevice, Driver
from lgnet_cli.errors import MissingBackend

_kept: dict[int, "Gpu"] = {}
_keeping = threading.Lock()


class Gpu:
    """The first device of a driver and its context."""

    def __init__(self, driver: Driver) -> None:
        """Raises MissingBackend where the device gives none."""
        try:
            device: CudaDevice = driver.Device(0)
            self._context: CudaContext = device.retain_primary_context()
            self.name = device.name()
        except Exception as error:  # of pycuda, whose classes are not there without it
            raise MissingBackend(
                f"the GPU gives no context: {error}",
                mend="another program may hold it or its memory: check with nvidia-smi",
            ) from error
        self.driver = driver
        weakref.finalize(self, _release, self._context)  # when the process ends, after all that was made later

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context on this thread, and off it again: contexts belong to threads."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()


def gpu_of(driver: Driver) -> Gpu:
    """The one of this process. Raises MissingBackend."""
    with _keeping:
        if id(driver) not in _kept:
            _kept[id(driver)] = Gpu(driver)
        return _kept[id(driver)]


def _release(context: CudaContext) -> None:
    with suppress(Exception):  # the process ends: there is nobody to tell
        context.detach()
