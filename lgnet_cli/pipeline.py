"""The batch, top to bottom: pairs -> decode -> crops -> engine -> paste -> encode -> record.

Images flow through lazily and in order: a few are decoded ahead and a few encoded behind by threads, while this thread
keeps the engine busy. So memory does not depend on how many there are.
"""

import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from .atomic import write_bytes
from .engines.protocol import Engine, EngineInfo
from .errors import EngineError, FileError, LgnetError
from .imaging.crops import MARGIN, Crop, HdMode, cut, plan, put
from .imaging.files import MAX_PIXELS, decode, encode
from .imaging.masks import Hole, MaskOptions, read_mask
from .imaging.picture import Bytes8, Picture
from .imaging.reading import file_limit, read_whole
from .imaging.spool import Pair
from .ordered import in_order, results
from .report import Record, Report, key_of

WRITERS = 16
"""Outputs on their way to the disk at a time, encoded. Each waits until the disk confirms it (5 ms and more), but a
disk confirms many at once nearly as soon as one, and threads that wait cost nothing."""

SWITCH_SECONDS = 0.0005
"""How long a decoding thread may keep the interpreter while the engine's thread wants it back. At Python's own 0.005 a
batch of small images reached 85 % of the bare engine's rate, at this 90 %."""


@dataclass(frozen=True)
class Settings:
    """How to fill. Everything here shows in the output, but for the last three."""

    masks: MaskOptions = field(default_factory=MaskOptions)
    mode: HdMode = "crop"
    margin: int = MARGIN  # pixels around each group of holes, for mode crop
    merge: bool = False  # join all crops that overlap
    format: str | None = None  # of the outputs; None keeps each input's
    quality: int = 95  # of JPEG and lossy WebP, 1 to 100
    batch: int = 1  # crops a call of the engine, across images
    overwrite: bool = False  # do again what the report says is done
    max_pixels: int = MAX_PIXELS  # of one image or mask; one that claims more fails before they are allocated

    def fixed_part(self, weights: str) -> str:
        """What all outputs of a batch depend on: the weights, by their hash, and the settings that show."""
        return " ".join(map(str, (weights, replace(self, batch=0, overwrite=False, max_pixels=0))))


@dataclass
class Work:
    """One image on its way."""

    pair: Pair
    record: Record
    picture: Picture | None = None
    hole: Hole | None = None
    data: bytes | memoryview = b""  # of the output; the input's own where there is nothing to fill
    crops: list[Crop] = field(default_factory=list)
    inputs: list[tuple[Bytes8, Bytes8]] = field(default_factory=list)  # a crop each: (image, mask)
    filled: list[Bytes8 | None] = field(default_factory=list)
    trace: str = ""  # of an unexpected error


@dataclass
class Summary:
    """What became of a batch."""

    filled: int = 0
    copied: int = 0
    failed: int = 0
    skipped: int = 0  # done by an earlier run
    seconds: float = 0.0  # wall time
    engine_seconds: float = 0.0  # of it, inside the engine; on Ray, of its workers on average


def run(
    pairs: Iterable[Pair],
    engine: Engine,
    settings: Settings,
    report: Report,
    summary: Summary,
    on_done: Callable[[Record | None, str], None] = lambda record, trace: None,
) -> None:
    """Fill every pair's image and write it whole, or record why not.

    Args:
        pairs: jobs, in the order they are to be done.
        engine: what fills; called from this thread alone.
        settings: how.
        report: gets a line an image.
        summary: is counted up, and holds also after an interruption.
        on_done: called in this thread with each finished image's record (None for one an earlier run did) and, after
            an unexpected error, its traceback.

    Raises:
        KeyboardInterrupt: after the images being written are whole and recorded; those before that stage are dropped.
    """
    started = time.perf_counter()
    fixed = settings.fixed_part(engine.info.weights_sha256)
    pool = ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="lgnet")
    disk = ThreadPoolExecutor(max_workers=WRITERS, thread_name_prefix="lgnet-disk")

    def todo() -> Iterator[Work]:
        for pair in pairs:
            work = _start(pair, fixed)
            if not settings.overwrite and work.record.key and report.is_done(pair, work.record.key):
                summary.skipped += 1
                on_done(None, "")
            else:
                yield work

    read = in_order(pool, lambda work: _guarded(_read, work, settings, engine.info), todo())
    filled = _filled(engine, read, settings.batch, summary)
    try:
        # What is encoded goes to the disk at once, whatever this thread is waiting for.
        encoded = in_order(pool, lambda work: disk.submit(_finish, _encode(work, settings), report), filled)
        for work in results(encoded, WRITERS):
            count = getattr(summary, work.record.status) + 1
            setattr(summary, work.record.status, count)
            on_done(work.record, work.trace)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        disk.shutdown(wait=True, cancel_futures=True)
        summary.seconds = time.perf_counter() - started


def threads() -> int:
    """How many decode and encode beside the one that keeps the engine busy."""
    return min(4, max(2, len(os.sched_getaffinity(0))))


def _start(pair: Pair, fixed: str) -> Work:
    work = Work(pair, Record(str(pair.image), str(pair.mask), str(pair.output), "failed"))
    try:
        work.record.key = pair.key or key_of(pair, fixed)
    except OSError as error:  # gone since the folder was listed
        work.record.error = f"{error.filename}: {error.strerror}"
    return work


def _guarded(stage: Callable[..., None], work: Work, *rest: object) -> Work:
    """Run one stage of one image; an error is the image's, not the batch's."""
    if work.record.error:
        return work
    started = time.perf_counter()
    try:
        stage(work, *rest)
    except LgnetError as error:
        work.record.error = str(error)
    except Exception as error:
        _record_failure(work, error)
    work.record.seconds += time.perf_counter() - started
    return work


def _record_failure(work: Work, error: Exception) -> None:
    """Of the engine, of memory; or a bug or a library's surprise, which has its trace. The batch goes on."""
    if isinstance(error, EngineError):
        work.record.error = f"{work.pair.image}: {error}"
        return
    if isinstance(error, MemoryError):
        work.record.error = f"{work.pair.image}: out of memory"
        return
    work.record.error = f"{work.pair.image}: unexpected {type(error).__name__}: {error}"
    work.trace = "".join(traceback.format_exception(error))


def _read(work: Work, settings: Settings, engine: EngineInfo) -> None:
    """Decode image and mask, and cut the crops."""
    data = read_whole(work.pair.image, file_limit(settings.max_pixels))
    picture = decode(data, work.pair.image, settings.max_pixels)
    hole = read_mask(work.pair.mask, picture, settings.masks, settings.max_pixels)
    work.record.width, work.record.height = picture.width, picture.height
    work.record.hole_share = round(np.count_nonzero(hole) / hole.size, 6)
    if not hole.any() and settings.format in (None, picture.format):
        work.data = data
    del data  # a large PNG's are worth having back before the holes are planned
    work.crops = plan(hole, mode=settings.mode, margin=settings.margin, size=engine.side, merge=settings.merge)
    work.record.crops = len(work.crops)
    if any(crop.size[0] * crop.size[1] > engine.max_pixels for crop in work.crops):
        raise FileError(
            f"{work.pair.image}: {picture.width} x {picture.height} is more than this engine fills at once",
            mend="fill it through crops: --hd crop",
        )
    work.picture, work.hole = picture, hole
    work.inputs = [cut(picture, hole, crop) for crop in work.crops]
    work.filled = [None] * len(work.crops)


def _filled(engine: Engine, works: Iterable[Work], batch: int, summary: Summary) -> Iterator[Work]:
    """Run the crops of successive images through the engine in batches of one shape; yield images in order."""
    line: deque[Work] = deque()
    queue: list[tuple[Work, int]] = []

    def flush() -> None:
        started = time.perf_counter()
        _fill(engine, queue)
        queue.clear()
        summary.engine_seconds += time.perf_counter() - started

    for work in works:
        line.append(work)
        for index, (image, _) in enumerate(work.inputs):
            if queue and queue[0][0].inputs[queue[0][1]][0].shape != image.shape:
                flush()
            queue.append((work, index))
            if len(queue) == batch:
                flush()
        while line and _is_filled(line[0]):
            yield line.popleft()
    if queue:
        flush()
    yield from line


def _is_filled(work: Work) -> bool:
    return bool(work.record.error) or all(result is not None for result in work.filled)


def _fill(engine: Engine, queue: list[tuple[Work, int]]) -> None:
    """One call of the engine; a batch that fails is halved and tried again, down to the crop that fails alone."""
    started = time.perf_counter()
    try:
        inputs = zip(*(work.inputs[i] for work, i in queue), strict=True)
        images, masks = (np.stack(arrays) if len(queue) > 1 else arrays[0][None] for arrays in inputs)
        results = engine.fill(images, masks)
    except Exception as error:  # its own EngineError, MemoryError, or a bug, which need not end the batch either
        if len(queue) == 1:
            _record_failure(queue[0][0], error)
            return
        for half in (queue[: len(queue) // 2], queue[len(queue) // 2 :]):
            _fill(engine, half)
        return
    for (work, index), result in zip(queue, results, strict=True):
        work.filled[index] = result
        work.record.seconds += (time.perf_counter() - started) / len(queue)


def _encode(work: Work, settings: Settings) -> Work:
    """Paste and encode; then let go of the pixels."""
    _guarded(_paste, work, settings)
    work.picture, work.hole, work.inputs, work.filled = None, None, [], []
    return work


def _paste(work: Work, settings: Settings) -> None:
    assert work.picture is not None
    assert work.hole is not None
    for crop, result in zip(work.crops, work.filled, strict=True):
        assert result is not None
        put(work.picture, work.hole, crop, result)
    work.data = work.data or encode(work.picture, settings.format or work.picture.format, settings.quality)


def _finish(work: Work, report: Report) -> Work:
    """Write and record."""
    _guarded(_write, work)
    work.record.status = "failed" if work.record.error else "copied" if not work.crops else "filled"
    work.record.seconds = round(work.record.seconds, 4)
    try:
        report.add(work.record)
    except FileError as error:  # the output is there, but the next run will not know: it is not done
        work.record.status = "failed"
        work.record.error = "; ".join(filter(None, (work.record.error, str(error))))
    work.data = b""
    return work


def _write(work: Work) -> None:
    output = work.pair.output
    try:
        write_bytes(output, work.data, parents=True)
    except OSError as error:  # it names the temporary file
        raise FileError(f"{output}: cannot be written: {error.strerror}") from error
    work.record.bytes = len(work.data)
