"""The pictures of a quality run as files, for other systems to fill: `lgnet bench quality --write-inputs`."""

from pathlib import Path

import cv2

from lgnet_cli.atomic import write_bytes
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.quality import open_masks
from lgnet_cli.benchmarks.samples import find_photos, read_photo, square
from lgnet_cli.errors import UsageError
from lgnet_cli.imaging.masks import as_bytes


def write_inputs(job: QualityJob, folder: Path) -> int:
    """Write FOLDER/images/PLACE.png and FOLDER/masks/PLACE.png for every sample; how many.

    `lgnet inpaint FOLDER/images FOLDER/masks -o RESULTS`, or another system run likewise, makes RESULTS for
    `--against NAME=RESULTS`. Raises UsageError (FOLDER is there and not empty), FileError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there and not empty", mend="name a new folder")
    photos = find_photos(job.images, job.limit)
    masks = open_masks(job, photos)
    count = 0
    for photo in photos:
        picture = read_photo(photo)
        pixels = square(picture, job.size)
        for sample in masks.of(photo, picture, job.size):
            _png(folder / "images" / f"{sample.place}.png", pixels[:, :, ::-1])
            _png(folder / "masks" / f"{sample.place}.png", as_bytes(sample.hole))
            count += 1
    return count


def _png(path: Path, pixels: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())
