"""Plans at run time: TensorRT and TensorRT-RTX through one runner.

Two lanes, each a CUDA stream with its own buffers and execution context, take batches in turn: while one computes, the
other copies in or out. Beside PyTorch in one process it shares the device's primary context.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lgnet_cli.errors import EngineError, LgnetError, MissingBackend, ModelError
from lgnet_cli.spec import FILLED, IMAGE, MASK

from . import tensorrt_api as api
from .libraries import CudaContext, CudaDevice, CudaMemory, Driver, TensorRT
from .machine import Machine
from .nvidia.profile import LANES, MAX_BUFFERS, Profile
from .nvidia.start import new_runtime
from .plan import (
    Sidecar,
    check_gpu,
    check_precision,
    check_version,
    read_checked,
    read_sidecar,
    sidecar_of,
)
from .protocol import EngineInfo, Pixels
from .tensorrt_log import Words, log_of


def open_plan(plan: Path, machine: Machine, *, trust: bool = False, flavour: str = "tensorrt") -> "TensorRtEngine":
    """Check a plan against its sidecar and this machine, in that order, and load it.

    Args:
        plan: a TensorRT or TensorRT-RTX plan, its sidecar beside it.
        machine: what is here.
        trust: deserialise it, which can run code of whoever made it, though its hash is not vouched for.
        flavour: of a trusted plan that has no sidecar.

    Raises:
        ModelError: it has no sidecar, is cut off, edited, of another version, GPU or precision, or does not load.
        MissingBackend: the package it needs, the driver or the GPU is missing.
    """
    sidecar = None if trust and not sidecar_of(plan).exists() else read_sidecar(plan)
    if sidecar:
        check_precision(plan, sidecar)
    data = read_checked(plan, sidecar) if sidecar and not trust else plan.read_bytes()
    trt = machine.tensorrt(sidecar.flavour if sidecar else flavour)
    if sidecar:
        check_version(plan, sidecar, trt.__version__)
    if not machine.gpu:
        raise MissingBackend(
            f"{plan}: no NVIDIA driver or GPU is here to run it on", mend="`lgnet doctor` says what this machine has"
        )
    machine.check_cuda(sidecar.flavour if sidecar else flavour)
    driver = machine.driver()
    if sidecar:
        check_gpu(plan, sidecar, machine.gpu.name, machine.gpu.capability)
    return TensorRtEngine(plan, data, sidecar, trt, driver, flavour)


class TensorRtEngine:
    """A plan on the first GPU. `fill` may be called from any thread, one call at a time."""

    def __init__(
        self, plan: Path, data: bytes, sidecar: Sidecar | None, trt: TensorRT, driver: Driver, flavour: str
    ) -> None:
        """Load a plan's `data`, which was checked; without a sidecar it is `flavour`'s.

        Raises ModelError: TensorRT or CUDA refuses it, or it is no plan of lgnet's.
        """
        self._driver = driver
        self._lock = threading.Lock()
        self._lanes: list[_Lane] = []
        device, context = _context(driver)
        self._context: CudaContext | None = context
        try:
            with self._current():
                self._engine: api.ICudaEngine | None = _deserialised(plan, data, trt)
                self._profile = _profile(plan, self._engine, trt)
                for _ in range(LANES):  # one after the other: what is there is freed if the next finds no memory
                    self._lanes.append(_Lane(plan, self._engine, self._profile, driver, log_of(trt).words))
        except BaseException:
            self.close()
            raise
        self.info = EngineInfo(
            backend=sidecar.flavour if sidecar else flavour,
            device=device.name(),
            precision=sidecar.precision if sidecar else "of unknown precision",
            sizes=self._profile.sizes,
            max_pixels=self._profile.side[2] ** 2,
            weights_sha256=sidecar.weights_sha256 if sidecar else hashlib.sha256(data).hexdigest(),
            side=self._profile.side[0],
        )

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        """See `Engine.fill`. More images than the plan takes at once are split; too few are padded."""
        with self._lock:
            if self._context is None:
                raise EngineError("this engine is closed")
            self._profile.check_shape(*mask.shape[1:])
            result = np.empty_like(image, order="C")
            with self._current():
                self._run(image, mask, result)
            return result

    def close(self) -> None:
        """On the thread that opened it: pycuda lets a context go on no other."""
        with self._lock:
            if self._context is None:
                return
            with self._current():
                for lane in self._lanes:
                    lane.free()
                self._lanes.clear()
                self._engine = None
            self._context.detach()
            self._context = None

    def _run(self, image: Pixels, mask: Pixels, result: Pixels) -> None:
        """Batches to the lanes in turn. A lane's results are taken when it is needed again, so that it is never
        waited for while the other has nothing to do."""
        most = self._profile.batch[2]
        try:
            for number, start in enumerate(range(0, len(image), most)):
                lane, part = self._lanes[number % LANES], slice(start, start + most)
                lane.collect()
                lane.launch(image[part], mask[part], result[part], least=self._profile.batch[0])
            for lane in self._lanes:
                lane.collect()
        except BaseException as error:
            for lane in self._lanes:  # nothing may still write into buffers that the next call uses
                lane.abandon()
            if isinstance(error, LgnetError) or not isinstance(error, Exception):
                raise
            raise EngineError(f"CUDA failed: {error}") from error  # pycuda's error classes are not there without it

    @contextmanager
    def _current(self) -> Iterator[None]:
        """The device's context on this thread, and off it again: contexts belong to threads."""
        assert self._context is not None
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()


class _Lane:
    """One stream with its buffers and execution context; at most one batch is on its way."""

    def __init__(self, plan: Path, engine: api.ICudaEngine, profile: Profile, driver: Driver, words: Words) -> None:
        if profile.buffer_bytes > MAX_BUFFERS:
            raise ModelError(
                f"{plan}: its profile wants over {MAX_BUFFERS:,} bytes of buffers", mend="build a smaller one"
            )
        self._driver, self._words = driver, words
        self._pending: tuple[Pixels, Pixels] | None = None  # (page-locked result, where it belongs)
        self._device: dict[str, CudaMemory] = {}
        pixels = profile.batch[2] * profile.side[2] ** 2
        sizes = {IMAGE: 3 * pixels, MASK: pixels, FILLED: 3 * pixels}
        smaller = "build it with a smaller --batch or --size, or free the GPU's memory: nvidia-smi"
        try:
            self._stream, context = driver.Stream(), engine.create_execution_context()
            self._host = {name: driver.pagelocked_empty((size,), np.uint8) for name, size in sizes.items()}
            for name, size in sizes.items():
                self._device[name] = driver.mem_alloc(size)
        except Exception as error:  # of pycuda
            self._free_device()
            raise ModelError(f"{plan}: no memory for its buffers: {error}", mend=smaller) from error
        if context is None:
            self._free_device()
            raise ModelError(f"{plan}: no memory for its execution: {words.last()}", mend=smaller)
        self._context = context

    def launch(self, image: Pixels, mask: Pixels, result: Pixels, *, least: int) -> None:
        """Send a batch on its way; it is there after `collect`. Pads it to `least` images with what lies about."""
        count = max(len(image), least)
        shapes = {IMAGE: (count, *image.shape[1:]), MASK: (count, *mask.shape[1:]), FILLED: (count, *image.shape[1:])}
        host = {name: self._host[name][: int(np.prod(shape))].reshape(shape) for name, shape in shapes.items()}
        host[IMAGE][: len(image)], host[MASK][: len(mask)] = image, mask
        host[MASK][len(mask) :] = 0
        for name in (IMAGE, MASK):
            self._need(self._context.set_input_shape(name, shapes[name]), f"{name} of shape {shapes[name]} is refused")
        for name, memory in self._device.items():
            self._need(self._context.set_tensor_address(name, int(memory)), f"the address of {name} is refused")
        self._need(not self._context.infer_shapes(), "a shape is missing")
        for name in (IMAGE, MASK):
            self._driver.memcpy_htod_async(int(self._device[name]), host[name], self._stream)
        self._need(self._context.execute_async_v3(self._stream.handle), "it does not run")
        self._driver.memcpy_dtoh_async(host[FILLED], int(self._device[FILLED]), self._stream)
        self._pending = (host[FILLED][: len(image)], result)

    def collect(self) -> None:
        """Wait for the batch on its way, if there is one, and hand its result over."""
        if self._pending is None:
            return
        (filled, result), self._pending = self._pending, None
        self._stream.synchronize()
        result[:] = filled

    def abandon(self) -> None:
        """Wait for whatever is on its way, and forget it."""
        self._pending = None
        with suppress(Exception):  # a device that failed fails here again
            self._stream.synchronize()

    def _need(self, worked: bool, what: str) -> None:
        """TensorRT says by a bool whether a call worked, and in its log why it did not."""
        if not worked:
            raise EngineError(f"TensorRT: {what}: {self._words.last()}")

    def _free_device(self) -> None:
        for memory in self._device.values():
            memory.free()

    def free(self) -> None:
        self._free_device()
        del self._host, self._device, self._context, self._stream  # the rest goes with its last reference


def _context(driver: Driver) -> tuple[CudaDevice, CudaContext]:
    """The first GPU and its context. Raises MissingBackend where it gives none."""
    try:
        device = driver.Device(0)
        return device, device.retain_primary_context()
    except Exception as error:  # of pycuda
        raise MissingBackend(
            f"the GPU gives no context: {error}",
            mend="another program may hold it or its memory: check with nvidia-smi",
        ) from error


def _deserialised(plan: Path, data: bytes, trt: TensorRT) -> api.ICudaEngine:
    """The plan's engine. Code of the plan's own stays forbidden: `engine_host_code_allowed` is never set."""
    log = log_of(trt)
    log.words.clear()
    engine = new_runtime(trt, log).deserialize_cuda_engine(data)
    if engine is None:
        raise ModelError(
            f"{plan}: TensorRT {trt.__version__} refuses it: {log.words.last()}",
            mend=f"build it anew on this machine: lgnet build-engine WEIGHTS -o {plan}",
        )
    return engine


def _profile(plan: Path, engine: api.ICudaEngine, trt: TensorRT) -> Profile:
    """What the engine itself says it takes. Raises ModelError where it is not between 8-bit images."""
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    inputs = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
    eight_bit = all(engine.get_tensor_dtype(name) == trt.DataType.UINT8 for name in names)
    if (names, inputs) != ({IMAGE, MASK, FILLED}, {IMAGE, MASK}) or not eight_bit:
        raise ModelError(f"{plan}: a plan, but not one of lgnet's", mend="make one with: lgnet build-engine")
    least, best, most = (tuple(shape) for shape in engine.get_tensor_profile_shape(IMAGE, 0))
    return Profile((least[0], best[0], most[0]), (least[1], best[1], most[1]))
