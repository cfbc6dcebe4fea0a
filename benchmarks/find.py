"""`lgnet bench find`: faults are planted into photos by seed, then found; how much of them, and how much else."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_cli.benchmarks.plants import PLANTS, Planted
from lgnet_cli.errors import NothingToDo, UsageError
from lgnet_cli.finders.constant import LEAST_PHOTOS, Survey
from lgnet_cli.finders.find import find
from lgnet_cli.finders.options import FindOptions
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.folders import files_below
from lgnet_cli.imaging.masks import Hole, dilated
from lgnet_cli.imaging.picture import Bytes8, Picture, to_rgb
from lgnet_cli.imaging.reading import read_whole

NEVER = 1.0
"""Of `max_found`: what finds too much is to show it in its precision."""


@dataclass
class Row:
    """One finder on all photos; pixels are counted over all of them."""

    finder: str
    photos: int
    recall: float  # of the planted pixels, those found
    precision: float  # of the found pixels, those planted or within `dilate` of them
    iou: float  # of the found pixels and the planted ones grown by `dilate`
    psnr_found: float | None = None  # dB against the photos before planting, filled by what was found; the mean
    psnr_true: float | None = None  # the same, filled by the planted holes grown by `dilate`


def measure(
    photos: list[Path], names: Iterable[str], seed: int, dilate: int, sensitivity: float, fill: bool
) -> list[Row]:
    """A row for each finder. Raises NothingToDo (too few photos of one size for `constant`)."""
    return [_measured(name, photos, seed, FindOptions((name,), sensitivity=sensitivity, max_found=NEVER, dilate=dilate),
                      fill) for name in names]  # fmt: skip


def _measured(name: str, photos: list[Path], seed: int, options: FindOptions, fill: bool) -> Row:
    if name == "constant":
        photos = _of_one_size(photos)
        options = _surveyed(photos, seed, options)
    counts, decibels = np.zeros(5, np.int64), []
    for number, path in enumerate(photos):
        rgb = _read(path)
        planted = _planted(name, rgb, seed, number)
        hole = find(path, _picture(planted.rgb), options).hole
        grown = dilated(planted.hole, options.dilate)
        parts = (hole & planted.hole, planted.hole, hole & grown, hole, hole | grown)
        counts += [np.count_nonzero(part) for part in parts]
        if fill:
            decibels.append([_psnr(_filled(planted.rgb, mask), rgb) for mask in (hole, grown)])
    covered, truth, right, found, either = counts.tolist()
    row = Row(name, len(photos), covered / max(truth, 1), right / max(found, 1), right / max(either, 1))
    if decibels:
        row.psnr_found, row.psnr_true = (float(value) for value in np.mean(decibels, axis=0))
    return row


def _planted(name: str, rgb: Bytes8, seed: int, number: int) -> Planted:
    """`constant` has one stamp for all photos."""
    return PLANTS[name](rgb, np.random.default_rng([seed, 0 if name == "constant" else number]))


def _surveyed(photos: list[Path], seed: int, options: FindOptions) -> FindOptions:
    folder = photos[0].parent
    survey = Survey().add_all((path, _planted("constant", _read(path), seed, 0).rgb) for path in photos)
    png = survey.get((str(folder), _read(photos[0]).shape[:2]), b"")
    marks = tuple((str(path.parent), _read(path).shape[:2], png) for path in photos[:1] if png)
    return FindOptions(options.specs, max_found=NEVER, dilate=options.dilate, marks=marks)


def _of_one_size(photos: list[Path]) -> list[Path]:
    """The photos of the first one's folder that have the most frequent size."""
    sizes = {path: _read(path).shape[:2] for path in photos if path.parent == photos[0].parent}
    most = max(set(sizes.values()), key=list(sizes.values()).count)
    same = [path for path, size in sizes.items() if size == most]
    if len(same) < LEAST_PHOTOS:
        raise NothingToDo(f"constant: needs {LEAST_PHOTOS} photos of one folder and size, there are {len(same)}")
    return same


def _read(path: Path) -> Bytes8:
    picture = decode(read_whole(path, 1 << 30), path)
    return to_rgb(picture.pixels, picture.kind)


def _picture(rgb: Bytes8) -> Picture:
    return Picture(np.ascontiguousarray(rgb[:, :, ::-1]), "rgb", "PNG", True, b"", b"")


def _filled(rgb: Bytes8, hole: Hole) -> Bytes8:
    return np.asarray(_session().inpaint(rgb, hole), np.uint8)


_opened: list[Any] = []


def _session() -> Any:
    if not _opened:
        from lgnet_cli import Session

        _opened.append(Session())
    return _opened[0]


def _psnr(a: Bytes8, b: Bytes8) -> float:
    error = float(np.mean(np.square(a.astype(np.float32) - b)))
    return float(20 * np.log10(255) - 10 * np.log10(max(error, 1e-6)))


def run_find(
    images: Path, names: str, limit: int | None, seed: int, dilate: int, sensitivity: float, fill: bool, as_json: bool
) -> None:
    """Measure and print a Markdown table, or JSON. Raises UsageError, NothingToDo."""
    finders = list(PLANTS) if names == "all" else names.split(",")
    unknown = sorted(set(finders) - PLANTS.keys())
    if unknown:
        raise UsageError(f"--finder {unknown[0]}: faults can be planted for {', '.join(PLANTS)}")
    photos = files_below(images)[:limit]
    if not photos:
        raise NothingToDo(f"{images}: no photo there")
    rows = measure(photos, finders, seed, dilate, sensitivity, fill)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("| finder | photos | recall | precision | IoU | PSNR filled by found / true masks, dB |\n" + "|---" * 6 + "|")
    for row in rows:
        filled = f"{row.psnr_found:.2f} / {row.psnr_true:.2f}" if row.psnr_found is not None else "n/a"
        numbers = f"{row.recall:.3f} | {row.precision:.3f} | {row.iou:.3f} | {filled}"
        print(f"| {row.finder} | {row.photos} | {numbers} |")
