"""Plans at run time: TensorRT and TensorRT-RTX through one runner.

Two lanes, each a CUDA stream with its own buffers and execution context, take batches in turn: while one computes, the
other copies in or out. Beside PyTorch in one process it shares the device's primary context.
"""

import hashlib
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lgnet_cli.errors import DeviceLost, EngineError, LgnetError, MissingBackend, ModelError

from . import tensorrt_api as api
from .libraries import TENSORRT, TENSORRT_RTX, Driver, Graphs, TensorRT
from .machine import Machine
from .nvidia.device import Gpu, gpu_of
from .nvidia.lane import Batch, Lane
from .nvidia.profile import LANES
from .nvidia.rtx import Kernels, cache_file
from .nvidia.start import deserialised, profile_of
from .plan import (
    Sidecar,
    check_gpu,
    check_model,
    check_precision,
    check_version,
    read_checked,
    read_sidecar,
    sidecar_of,
)
from .protocol import EngineInfo, Pixels
from .tensorrt_log import Words, log_of


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
        if not trust:
            check_model(plan, sidecar, machine.gpu.name)
    flavour = sidecar.flavour if sidecar else flavour
    kept = None
    if cache and flavour == TENSORRT_RTX:
        digest = sidecar.plan_sha256 if sidecar else hashlib.sha256(data).hexdigest()
        kept = cache_file(cache, digest, machine.gpu.name, trt.__version__)
    graphs = machine.graphs() if flavour == TENSORRT else None
    return TensorRtEngine(plan, data, sidecar, trt, driver, flavour, kept, graphs)


class Held:
    """What an engine has on a GPU."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.engine: api.ICudaEngine | None = None
        self.kernels: Kernels | None = None
        self.lanes: list[Lane] = []

    def free(self) -> None:
        """Give it all back. A device that failed takes nothing back: then it goes with the process."""
        with suppress(Exception), self.gpu.current():
            if self.kernels and self.lanes:
                self.kernels.keep()
            while self.lanes:
                self.lanes.pop().free()
            self.kernels = self.engine = None
        self.lanes.clear()


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
        kept: Path | None = None, graphs: Graphs | None = None,
    ) -> None:  # fmt: skip
        """Load a plan's `data`, which was checked and is `flavour`'s; `kept` is the file of its compiled kernels.

        Raises ModelError: TensorRT or CUDA refuses it, or it is no plan of lgnet's.
        """
        gpu, words = gpu_of(driver), log_of(trt).words
        self._lock = threading.RLock()
        self._turn = 0  # whose it is among the lanes
        self._json = trt.LayerInformationFormat.JSON
        self._held = Held(gpu)
        self._free = weakref.finalize(self, self._held.free)  # also where nobody closes this
        try:
            with gpu.current():
                self._held.engine, beware = deserialised(plan, data, trt, flavour)
                self._profile = profile_of(plan, self._held.engine, trt)
                self._held.kernels = Kernels(trt, self._held.engine, kept) if flavour == TENSORRT_RTX else None
                beware = "; ".join(filter(None, (beware, self._open_lanes(plan, driver, words, graphs))))
        except BaseException:
            self.close()
            raise
        self.info = EngineInfo(
            backend=flavour,
            device=gpu.name,
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
            if not self._held.lanes:
                raise EngineError("this engine is closed")
            self._profile.check_shape(*masks[0].shape)
            lane = self._held.lanes[self._turn % len(self._held.lanes)]
            self._turn += 1
            with self._held.gpu.current(), self._failing(lane):
                lane.collect()
                return OnItsWay(self, lane, lane.launch(images, masks, result))

    def finish(self, lane: Lane, batch: Batch) -> Pixels:
        """Wait for a batch of `start`. Raises EngineError: it failed, or was given up with one that did."""
        with self._lock:
            if batch.result is None and not batch.lost and self._held.lanes:
                with self._held.gpu.current(), self._failing(lane):
                    lane.collect()
            if batch.result is None:
                raise EngineError(batch.lost or "this engine is closed")
            return batch.result

    def device_seconds(self, image: Pixels, mask: Pixels) -> tuple[float, float, float]:
        """How long the device takes for a batch: to copy it in, to compute it, to copy it out. Raises EngineError."""
        with self._lock:
            if not self._held.lanes:
                raise EngineError("this engine is closed")
            lane = self._held.lanes[0]
            with self._held.gpu.current(), self._failing(lane):
                lane.collect()
                return lane.seconds(list(image), list(mask))

    def layers(self) -> str:
        """How the plan computes each layer, as TensorRT's JSON; names alone where it was not built to say more."""
        with self._held.gpu.current():
            assert self._held.engine
            inspector = self._held.engine.create_engine_inspector()
            return inspector.get_engine_information(self._json)

    def captured(self) -> str:
        """Whether small batches run as CUDA graphs, in words."""
        return (
            "; ".join(dict.fromkeys(lane.captured for lane in self._held.lanes if lane.captured)) or "by TensorRT-RTX"
        )

    def memory(self) -> tuple[int, int]:
        """Bytes of the device: (free, all)."""
        with self._held.gpu.current():
            return self._held.gpu.driver.mem_get_info()

    def close(self) -> None:
        """From any thread."""
        with self._lock:
            self._free()

    def _open_lanes(self, plan: Path, driver: Driver, words: Words, graphs: Graphs | None) -> str:
        """As many as there is memory for; says what speaks against it where that is one alone."""
        held = self._held
        assert held.engine
        for number in range(LANES):
            try:
                config = held.kernels.config if held.kernels else None
                held.lanes.append(Lane(plan, held.engine, self._profile, driver, words, config, graphs))
            except ModelError as error:  # of memory
                if number == 0:
                    raise
                return f"there is memory for one stream alone, which is slower ({error.args[0]})"
        return ""

    def _give_up(self, why: str) -> None:
        if not self._held.lanes:
            return
        with self._held.gpu.current():
            for lane in self._held.lanes:
                lane.abandon(why)

    @contextmanager
    def _failing(self, lane: Lane) -> Iterator[None]:
        """What goes wrong with a lane, as an EngineError; then nothing of it is on its way any more."""
        try:
            yield
        except BaseException as error:
            what = "TensorRT" if isinstance(error, RuntimeError) else "CUDA"  # whose classes are not there without it
            if not lane.abandon(f"{what} failed: {error}"):
                raise DeviceLost(
                    f"the GPU gives no more results: {error}",
                    mend="what is done stays done: run the same command again, which goes on with the rest; if it "
                    "happens again: nvidia-smi -q, and `lgnet doctor --gpu-check`",
                ) from error
            if isinstance(error, LgnetError) or not isinstance(error, Exception):
                raise
            raise EngineError(f"{what} failed: {error}") from error
