"""What happens to one image before and after the engine: decode and cut, paste and encode, write and record."""

import hashlib
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .atomic import write_bytes
from .engines.protocol import EngineInfo
from .errors import EngineError, FileError, LgnetError
from .finders.options import FindOptions
from .imaging.crops import MARGIN, Crop, HdMode, cut, plan
from .imaging.extras import lost
from .imaging.files import decode, encode
from .imaging.header import MAX_PIXELS
from .imaging.masks import Hole, MaskOptions, as_bytes, read_mask
from .imaging.picture import Bytes8, Picture
from .imaging.reading import file_limit, read_whole
from .imaging.spool import Pair
from .refine import Refine
from .refine.paste import paste
from .report import Record, Report, key_and_size


@dataclass(frozen=True)
class Settings:
    """How to fill. Everything here shows in the output, but for batch, overwrite and max_pixels."""

    masks: MaskOptions = field(default_factory=MaskOptions)
    mode: HdMode = "crop"
    margin: int = MARGIN  # pixels around each group of holes at least, for mode crop
    merge: bool = False  # join all crops that overlap
    refine: Refine = "texture"
    format: str | None = None  # of the outputs; None keeps each input's
    quality: int = 95  # of JPEG and lossy WebP, 1 to 100
    batch: int = 1  # crops a call of the engine, across images; 0 for as many as it is best given
    overwrite: bool = False  # do again what the report says is done
    max_pixels: int = MAX_PIXELS  # of one image or mask; one that claims more fails before they are allocated
    find: FindOptions | None = None  # make the masks; None reads them from files
    keep: tuple[Path, Path] | None = None  # (OUT, the folder in it that found masks are written to)

    def fixed_part(self, weights: str) -> str:
        """What all outputs of a batch depend on: the weights, by their hash, and the settings that show."""
        kept = bool(self.keep)  # a folder of another name makes no other picture
        return " ".join(map(str, (weights, kept, replace(self, batch=0, overwrite=False, max_pixels=0, keep=None))))


@dataclass
class Work:
    """One image on its way."""

    pair: Pair
    record: Record
    size: int = 0  # bytes of the image's file
    picture: Picture | None = None
    hole: Hole | None = None
    data: bytes | memoryview = b""  # of the output; the input's own where there is nothing to fill
    crops: list[Crop] = field(default_factory=list)
    inputs: list[tuple[Bytes8, Bytes8]] = field(default_factory=list)  # a crop each: (image, mask)
    filled: list[Bytes8 | None] = field(default_factory=list)
    trace: str = ""  # of an unexpected error


@dataclass
class Group:
    """Images that go through the stages together: handing them on one by one would take longer than small ones do."""

    works: list[Work]
    place: Any = None  # where their pixels are, for whoever read them
    lost: bool = False  # the process that had them is gone


Room = Callable[[Crop], tuple[Bytes8, Bytes8] | None]
"""Memory for a crop's picture and mask, or None for new memory."""


class Stages(Protocol):
    """Who reads and finishes groups, beside the thread that keeps the engine busy."""

    ahead: int  # groups to read ahead of the engine
    behind: int  # groups to be encoded and written behind it

    def read(self, group: Group) -> Future[Group]:
        """Decode every image and mask, and cut the crops: see `read`."""
        ...

    def finish(self, group: Group) -> Future[Group]:
        """Paste, encode, write and record every image, whose crops are filled. May wait until others are encoded."""
        ...

    def close(self) -> None:
        """Drop what is not being written yet, and see the rest whole and recorded."""
        ...


def start(pair: Pair, fixed: str) -> Work:
    """A pair that is to be done; `fixed` as `Settings.fixed_part` gives it."""
    work = Work(pair, Record(str(pair.image), str(pair.mask), str(pair.output), "failed", seed=pair.seed))
    try:
        key, work.size = key_and_size(pair, fixed)
        work.record.key = pair.key or key
    except OSError as error:  # gone since the folder was listed
        work.record.error = f"{error.filename}: {error.strerror}"
    return work


def read(work: Work, settings: Settings, engine: EngineInfo, room: Room = lambda crop: None) -> None:
    """Decode image and mask, and cut the crops into what `room` has for each; an error is the image's alone."""
    _guarded(_read, work, settings, engine, room)


def paste_and_encode(work: Work, settings: Settings) -> None:
    """Make the output's bytes; then let go of the pixels."""
    _guarded(_paste, work, settings)
    work.picture, work.hole, work.inputs, work.filled = None, None, [], []


def write(work: Work) -> None:
    """Write the output whole, or note why not."""
    _guarded(_write, work)
    work.data = b""
    work.record.status = "failed" if work.record.error else "copied" if not work.crops else "filled"
    work.record.seconds = round(work.record.seconds, 4)


def record(said: Record, report: Report) -> None:
    """Add an image's line to the report."""
    try:
        report.add(said)
    except FileError as error:  # the output is there, but the next run will not know: it is not done
        said.status, said.error = "failed", "; ".join(filter(None, (said.error, str(error))))


def record_failure(work: Work, error: Exception) -> None:
    """Of the engine, of memory; or a bug or a library's surprise, which has its trace. The batch goes on."""
    if isinstance(error, EngineError):
        work.record.error = f"{work.pair.image}: {error}"
        return
    if isinstance(error, MemoryError):
        work.record.error = f"{work.pair.image}: out of memory"
        return
    work.record.error = f"{work.pair.image}: unexpected {type(error).__name__}: {error}"
    work.trace = "".join(traceback.format_exception(error))


def _guarded(stage: Callable[..., None], work: Work, *rest: object) -> None:
    """Run one stage of one image; an error is the image's, not the batch's."""
    if work.record.error:
        return
    started = time.perf_counter()
    try:
        stage(work, *rest)
    except LgnetError as error:
        work.record.error = str(error)
    except Exception as error:
        record_failure(work, error)
    work.record.seconds += time.perf_counter() - started


def _read(work: Work, settings: Settings, engine: EngineInfo, room: Room) -> None:
    data = read_whole(work.pair.image, file_limit(settings.max_pixels))
    picture = decode(data, work.pair.image, settings.max_pixels)
    hole = _hole(work, picture, settings, data)
    work.record.width, work.record.height = picture.width, picture.height
    holes = np.count_nonzero(hole)
    work.record.hole_share = round(holes / hole.size, 6)
    if not holes and settings.format in (None, picture.format):
        work.data = data
    del data  # a large PNG's are worth having back before the holes are planned
    work.crops = plan(hole, mode=settings.mode, margin=settings.margin, size=engine.side, merge=settings.merge)
    work.record.crops = len(work.crops)
    if any(crop.size[0] * crop.size[1] > engine.max_pixels for crop in work.crops):
        raise FileError(
            f"{work.pair.image}: {picture.width} x {picture.height} is more than this engine fills at once",
            mend="fill it through crops: --hd crop",
        )
    work.picture, work.hole, work.record.notes = picture, hole, [] if work.data else list(picture.notes)
    border = settings.refine != "none"
    work.inputs = [cut(picture, hole, crop, room(crop), border=border) for crop in work.crops]
    work.filled = [None] * len(work.crops)


def _hole(work: Work, picture: Picture, settings: Settings, data: bytes) -> Hole:
    """Found, and kept where that is asked for, or read from the mask's file."""
    if settings.find is None:
        return read_mask(work.pair.mask, picture, settings.masks, settings.max_pixels, data)
    from .finders.find import find
    from .finders.protocol import summed_up

    finding = find(work.pair.image, picture, settings.find)
    work.record.found = summed_up(finding.regions)
    if settings.keep:
        work.record.mask = str(kept_mask(work.pair.output, *settings.keep))
        write_mask(Path(work.record.mask), finding.hole)
    return finding.hole


def kept_mask(output: Path, out: Path, folder: Path) -> Path:
    """Where the found mask of a result is kept: by its path below OUT, as a PNG."""
    return folder / output.relative_to(out).with_suffix(".png")


def write_mask(path: Path, hole: Hole) -> None:
    """Write (H, W) bool as a PNG, white = hole. Raises FileError."""
    data = encode(Picture(as_bytes(hole)[:, :, None], "grey", "PNG", True, b"", b""), "PNG", 95)
    try:
        write_bytes(path, data, parents=True)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error


def _paste(work: Work, settings: Settings) -> None:
    assert work.picture is not None
    assert work.hole is not None
    drawn = [result for result in work.filled if result is not None]
    started = time.perf_counter()
    paste(work.picture, work.hole, work.crops, drawn, settings.refine, work.pair.seed)
    if settings.refine != "none":
        work.record.refine_seconds = round(time.perf_counter() - started, 4)
    if work.data:
        return
    fmt = settings.format or work.picture.format
    try:
        work.data = encode(work.picture, fmt, settings.quality)
    except FileError as error:  # of the format, which knows no file
        raise FileError(f"{work.pair.image}: {error.args[0]}", mend=error.mend) from error
    work.record.notes += lost(work.picture.extras, fmt)


def _write(work: Work) -> None:
    output = work.pair.output
    try:
        work.record.changed = write_bytes(output, work.data, parents=True)
    except OSError as error:  # it names the temporary file
        raise FileError(f"{output}: cannot be written: {error.strerror}") from error
    work.record.bytes = len(work.data)
    work.record.sha256 = hashlib.sha256(work.data).hexdigest()
