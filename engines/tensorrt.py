"""Plans at run time: TensorRT and TensorRT-RTX through one runner.

Two lanes, each a CUDA stream with its own buffers and execution context, take batches in turn: while one computes, the
other copies in or out. Beside PyTorch in one process it shares the device's primary context.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lgnet_cli.errors import EngineError, LgnetError, MissingBackend, ModelError
from lgnet_cli.spec import FILLED, IMAGE, MASK

from . import tensorrt_api as api
from .libraries import TENSORRT_RTX, CudaContext, CudaDevice, Driver, TensorRT
from .machine import Machine
from .nvidia.lane import MAIN, Batch, Lane
from .nvidia.profile import LANES, Profile
from .nvidia.rtx import Kernels, cache_file, check_valid
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
from .tensorrt_log import NOTHING, log_of


def open_plan(
    plan: Path, machine: Machine, *, trust: bool = False, flavour: str = "tensorrt", cache: Path | None = None
) -> "TensorRtEngine":
    """Check a plan against its sidecar and this machine, in that order, and load it.

    Args:
        plan: a TensorRT or TensorRT-RTX plan, its sidecar beside it.
        machine: what is here.
        trust: deserialise it, which can run code of whoever made it, though its hash is not vouched for.
        flavour: of a trusted plan that has no sidecar.
        cache: folder in which TensorRT-RTX keeps the kernels that it compiles; None for nowhere.

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
    flavour = sidecar.flavour if sidecar else flavour
    kept = None
    if cache and flavour == TENSORRT_RTX:
        digest = sidecar.plan_sha256 if sidecar else hashlib.sha256(data).hexdigest()
        kept = cache_file(cache, digest, machine.gpu.name, trt.__version__)
    return TensorRtEngine(plan, data, sidecar, trt, driver, flavour, kept)


class OnItsWay:
    """Satisfies `Pending`."""

    def __init__(self, engine: "TensorRtEngine", lane: Lane, batch: Batch) -> None:
        self._engine, self._lane, self._batch = engine, lane, batch

    def result(self) -> Pixels:
        return self._engine.finish(self._lane, self._batch)


class TensorRtEngine:
    """A plan on the first GPU. May be called from any thread, one call at a time."""

    def __init__(
        self, plan: Path, data: bytes, sidecar: Sidecar | None, trt: TensorRT, driver: Driver, flavour: str,
        kept: Path | None = None,
    ) -> None:  # fmt: skip
        """Load a plan's `data`, which was checked and is `flavour`'s; `kept` is the file of its compiled kernels.

        Raises ModelError: TensorRT or CUDA refuses it, or it is no plan of lgnet's.
        """
        self._driver = driver
        self._lock = threading.RLock()
        self._lanes: list[Lane] = []
        self._turn = 0  # whose it is among the lanes
        self._kernels: Kernels | None = None
        device, context = _context(driver)
        self._context: CudaContext | None = context
        try:
            with self._current():
                self._engine: api.ICudaEngine | None = None
                self._engine, beware = _deserialised(plan, data, trt, flavour)
                self._profile = _profile(plan, self._engine, trt)
                self._kernels = Kernels(trt, self._engine, kept) if flavour == TENSORRT_RTX else None
                config = self._kernels.config if self._kernels else None
                for _ in range(LANES):  # one after the other: what is there is freed if the next finds no memory
                    self._lanes.append(Lane(plan, self._engine, self._profile, driver, log_of(trt).words, config))
        except BaseException:
            self.close()
            raise
        self.info = EngineInfo(
            backend=flavour,
            device=device.name(),
            precision=sidecar.precision if sidecar else "of unknown precision",
            sizes=self._profile.sizes,
            max_pixels=self._profile.side[2] ** 2,
            weights_sha256=sidecar.weights_sha256 if sidecar else hashlib.sha256(data).hexdigest(),
            side=self._profile.side[0],
            batch=self._profile.batch[2],
            beware=beware,
        )

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        """See `Engine.fill`. More images than the plan takes at once are split; too few are padded."""
        result, most = np.empty_like(image, order="C"), self._profile.batch[2]
        parts = [slice(start, start + most) for start in range(0, len(image), most)]
        with self._lock:
            sent: list[OnItsWay] = []
            try:
                sent += [self._start(list(image[part]), list(mask[part]), result[part]) for part in parts]
                for batch in sent:
                    batch.result()
            except BaseException:
                self._give_up("a batch of the same call failed")  # nothing may still write into what is returned
                raise
        return result

    def start(self, images: Sequence[Pixels], masks: Sequence[Pixels]) -> "OnItsWay":
        """See `Ahead.start`."""
        if not 0 < len(images) <= self._profile.batch[2]:
            raise ValueError(f"{len(images)} images, for a plan that takes 1 to {self._profile.batch[2]}")
        return self._start(images, masks, np.empty((len(images), *images[0].shape), np.uint8))

    def _start(self, images: Sequence[Pixels], masks: Sequence[Pixels], result: Pixels) -> "OnItsWay":
        """By the lanes in turn. A lane's results are taken when it is needed again, so that it is never waited for
        while the other has nothing to do."""
        with self._lock:
            if self._context is None:
                raise EngineError("this engine is closed")
            self._profile.check_shape(*masks[0].shape)
            lane, self._turn = self._lanes[self._turn % LANES], self._turn + 1
            with self._current(), self._failing(lane):
                lane.collect()
                return OnItsWay(self, lane, lane.launch(images, masks, result))

    def finish(self, lane: Lane, batch: Batch) -> Pixels:
        """Wait for a batch of `start`. Raises EngineError: it failed, or was given up with one that did."""
        with self._lock:
            if batch.result is None and not batch.lost and self._context is not None:
                with self._current(), self._failing(lane):
                    lane.collect()
            if batch.result is None:
                raise EngineError(batch.lost or "this engine is closed")
            return batch.result

    def close(self) -> None:
        """On the thread that opened it: pycuda lets a context go on no other."""
        with self._lock:
            if self._context is None:
                return
            with self._current():
                if self._kernels and self._lanes:
                    self._kernels.keep()
                for lane in self._lanes:
                    lane.free()
                self._lanes.clear()
                self._kernels = self._engine = None
            self._context.detach()
            self._context = None

    def _give_up(self, why: str) -> None:
        if self._context is None:
            return
        with self._current():
            for lane in self._lanes:
                lane.abandon(why)

    @contextmanager
    def _failing(self, lane: Lane) -> Iterator[None]:
        """What goes wrong with a lane, as an EngineError; then nothing of it is on its way any more."""
        try:
            yield
        except BaseException as error:
            lane.abandon(f"CUDA failed: {error}")
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


def _deserialised(plan: Path, data: bytes, trt: TensorRT, flavour: str) -> tuple[api.ICudaEngine, str]:
    """The plan's engine, and what is said against it though it loads.

    Code of the plan's own stays forbidden: `engine_host_code_allowed` is never set.
    """
    log = log_of(trt)
    log.words.clear()
    runtime = new_runtime(trt, log)
    beware = check_valid(plan, data, trt, runtime) if flavour == TENSORRT_RTX else ""
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise ModelError(
            f"{plan}: TensorRT {trt.__version__} refuses it: {log.words.last()}",
            mend=f"build it anew on this machine: lgnet build-engine WEIGHTS -o {plan}",
        )
    said = [] if log.words.last() == NOTHING else [f"TensorRT said while loading it: {log.words.last()}"]
    return engine, "; ".join(filter(None, [beware, *said]))


def _profile(plan: Path, engine: api.ICudaEngine, trt: TensorRT) -> Profile:
    """What the engine itself says it takes. Raises ModelError where it is not between 8-bit images."""
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    inputs = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
    eight_bit = all(engine.get_tensor_dtype(name) == trt.DataType.UINT8 for name in names)
    if (names, inputs) != ({IMAGE, MASK, FILLED}, {IMAGE, MASK}) or not eight_bit:
        raise ModelError(f"{plan}: a plan, but not one of lgnet's", mend="make one with: lgnet build-engine")
    least, best, most = (tuple(shape) for shape in engine.get_tensor_profile_shape(IMAGE, MAIN))
    return Profile((least[0], best[0], most[0]), (least[1], best[1], most[1]))
