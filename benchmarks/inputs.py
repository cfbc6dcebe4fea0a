"""The pictures of a quality run as files, for other systems to fill: `lgnet bench quality --write-inputs`."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.atomic import write_bytes
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native import open_native_masks
from lgnet_cli.benchmarks.quality import open_masks
from lgnet_cli.benchmarks.samples import Sample, find_photos, read_photo, square
from lgnet_cli.errors import UsageError
from lgnet_cli.imaging.masks import as_bytes
from lgnet_cli.imaging.picture import to_rgb


def write_inputs(job: QualityJob, folder: Path, *, native: bool = False) -> int:
    """Write FOLDER/images/PLACE.png and FOLDER/masks/PLACE.png for every sample, or for every whole photo.

    `lgnet inpaint FOLDER/images FOLDER/masks -o RESULTS`, or another system run likewise, makes RESULTS for
    `--against NAME=RESULTS`. `native`: whole photos. Returns how many there are. Raises UsageError (FOLDER is there
    and not empty), FileError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there and not empty", mend="name a new folder")
    count = 0
    for sample, pixels in _native(job) if native else _squares(job):
        _png(folder / "images" / f"{sample.place}.png", np.ascontiguousarray(pixels[:, :, ::-1]))
        _png(folder / "masks" / f"{sample.place}.png", as_bytes(sample.hole))
        count += 1
    return count


def _squares(job: QualityJob) -> Iterator[tuple[Sample, Image]]:
    photos = find_photos(job.images, job.limit)
    masks = open_masks(job, photos)
    for photo in photos:
        picture = read_photo(photo)
        pixels = square(picture, job.size)
        for sample in masks.of(photo, picture, job.size):
            yield sample, pixels


def _native(job: QualityJob) -> Iterator[tuple[Sample, Image]]:
    photos = find_photos(job.images, job.limit)
    masks = open_native_masks(job, photos)
    for photo in photos:
        picture = read_photo(photo)
        yield masks.of(photo, picture), to_rgb(picture.pixels, picture.kind)


def _png(path: Path, pixels: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())
