"""`lgnet masks find`: the masks of a folder's photos, written as files to look at before the batch."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from .errors import FileError, LgnetError, NothingToDo, UsageError
from .escape import printable
from .finders.constant import Survey
from .finders.find import check, find
from .finders.options import FindOptions
from .finders.protocol import summed_up
from .imaging.files import decode
from .imaging.header import MAX_PIXELS
from .imaging.pairs import make_plan
from .imaging.picture import Bytes8, to_rgb
from .imaging.reading import file_limit, read_whole
from .imaging.spool import Pair, Pairs
from .interruption import interrupt_on_signals
from .lock import locked
from .ordered import AHEAD, results
from .places import is_listed, is_remote, make_folder
from .report import Record, Report, key_of, reports_in
from .stages import write_mask

MOST_SURVEYED = 100
"""Photos of one batch's folder that `constant` reads: more add time, and nothing to see."""


@dataclass
class FindSummary:
    """What became of a batch of photos."""

    found: int = 0
    nothing: int = 0  # photos in which nothing was found; their masks are black
    failed: int = 0
    skipped: int = 0  # whose masks were there, from an earlier run of the same command


def surveyed(pairs: Pairs, options: FindOptions, max_pixels: int = MAX_PIXELS) -> FindOptions:
    """`options` with what `constant` has to know of all photos before the first; as they are without `constant`."""
    if "constant" not in options.specs:
        return options
    marks = Survey().add_all(_photos(pairs, max_pixels))
    return replace(options, marks=tuple((folder, shape, png) for (folder, shape), png in sorted(marks.items())))


def _photos(pairs: Pairs, max_pixels: int) -> Iterator[tuple[Path, Bytes8]]:
    """The first MOST_SURVEYED photos of each folder; one that cannot be read will fail by name in the batch itself."""
    folder, taken = Path(), 0
    for pair in pairs:
        taken = taken + 1 if pair.image.parent == folder else 1
        folder = pair.image.parent
        if taken > MOST_SURVEYED:
            continue
        try:
            picture = decode(read_whole(pair.image, file_limit(max_pixels)), pair.image, max_pixels)
        except LgnetError:
            continue
        yield pair.image, to_rgb(picture.pixels, picture.kind)


def find_masks(
    images: str, out: Path, options: FindOptions, overwrite: bool, max_pixels: int = MAX_PIXELS
) -> FindSummary:
    """Find the holes of every image and write them to `out`, as PNGs laid out as IMAGES, white = hole.

    `out` has a report, lgnet-report.jsonl; a second run does what is missing or changed.

    Raises:
        UsageError: the options, or what is in the folders, cannot be.
        NothingToDo: there is no image.
        FileError: some images failed; the others are done.
    """
    interrupt_on_signals("interrupted; the same command goes on where it stopped")
    if is_remote(out):
        raise UsageError(f"{out}: masks are found into folders of this machine", mend="give another folder: -o")
    check(options)
    plan = make_plan(images, None, out, "PNG")
    problems = {**plan.fatal, **plan.skippable}
    if problems:
        first = next(iter(problems.items()))
        raise UsageError(f"refused before anything was done: {printable(f'{first[0]}: {first[1][0]}')}")
    if not len(plan.pairs):
        raise NothingToDo(f"{images}: no image there")
    foreign = [] if overwrite or reports_in(out) else [pair.output for pair in plan.pairs if is_listed(pair.output)]
    if foreign:
        raise UsageError(f"{foreign[0]}: exists, and no report says that lgnet made it", mend="replace it: --overwrite")
    make_folder(out)
    console, summary = Console(stderr=True, highlight=False, soft_wrap=True), FindSummary()
    with locked(out):
        report = Report(out)
        try:
            _find_all(
                plan.pairs, surveyed(plan.pairs, options, max_pixels), report, overwrite, max_pixels, summary, console
            )
        finally:
            report.close()
    console.print(f"{summary.found} with holes, {summary.nothing} without, {summary.failed} failed, "
                  f"{summary.skipped} done before", markup=False)  # fmt: skip
    if summary.failed:
        raise FileError(f"{summary.failed} of {len(plan.pairs)} images failed; see {report.path}")
    return summary


def _find_all(
    pairs: Pairs, options: FindOptions, report: Report, overwrite: bool, max_pixels: int, summary: FindSummary,
    console: Console,
) -> None:  # fmt: skip
    fixed = f"masks find {options} {max_pixels}"

    def todo() -> Iterator[tuple[Pair, str]]:
        for pair in pairs:
            key = _key(pair, fixed)
            if key and not overwrite and report.is_done(pair, key):
                summary.skipped += 1
            else:
                yield pair, key

    with ThreadPoolExecutor(max(2, len(os.sched_getaffinity(0)))) as pool:
        for record in results((pool.submit(_find_one, pair, key, options, max_pixels) for pair, key in todo()), AHEAD):
            report.add(record)
            kind = "failed" if record.error else "found" if record.hole_share else "nothing"
            setattr(summary, kind, asdict(summary)[kind] + 1)
            if record.error:
                console.print(f"failed: {printable(record.error)}", markup=False)


def _key(pair: Pair, fixed: str) -> str:
    try:
        return key_of(pair, fixed)
    except OSError:  # gone since the folder was listed, as reading it will say
        return ""


def _find_one(pair: Pair, key: str, options: FindOptions, max_pixels: int) -> Record:
    """Find the holes of one photo and write its mask; an error is the photo's alone."""
    record = Record(str(pair.image), str(pair.output), str(pair.output), "failed", key=key)
    try:
        picture = decode(read_whole(pair.image, file_limit(max_pixels)), pair.image, max_pixels)
        finding = find(pair.image, picture, options)
        record.width, record.height = picture.width, picture.height
        record.hole_share = round(float(np.count_nonzero(finding.hole)) / finding.hole.size, 6)
        record.found = summed_up(finding.regions)
        write_mask(pair.output, finding.hole)
        record.bytes = pair.output.stat().st_size
        record.status = "filled" if finding.hole.any() else "copied"
    except LgnetError as error:
        record.error = str(error)
    except (OSError, MemoryError) as error:
        record.error = f"{pair.image}: {error or 'out of memory'}"
    return record
