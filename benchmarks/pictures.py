"""Before, mask, after: `python -m lgnet_cli.benchmarks.pictures IMAGES MASKS OUT STEM ... -o strip.jpg`."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.picture import to_rgb

HEIGHT = 240  # pixels of each row
RED = (255, 60, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=3, metavar="FOLDER", help="IMAGES, MASKS, OUT")
    parser.add_argument("stems", nargs="+", metavar="STEM", help="one row each")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [_row(*(next(folder.glob(f"{stem}.*")) for folder in options.folders)) for stem in options.stems]
    width = max(row.shape[1] for row in rows)
    page = np.vstack([np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])
    cv2.imwrite(str(options.out), page[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _row(image: Path, mask: Path, out: Path) -> Image:
    before, holes, after = (_rgb(file) for file in (image, mask, out))
    marked = np.where(holes[:, :, :1] >= 128, np.array(RED, np.uint8), before)
    size = (round(before.shape[1] * HEIGHT / before.shape[0]), HEIGHT)
    cells = [cv2.resize(cell, size, interpolation=cv2.INTER_AREA) for cell in (before, marked, after)]
    return np.hstack([np.pad(cell, ((0, 0), (0, 6), (0, 0)), constant_values=255) for cell in cells]).astype(np.uint8)


def _rgb(file: Path) -> Image:
    picture = decode(file.read_bytes(), file)
    return to_rgb(picture.pixels, picture.kind)


if __name__ == "__main__":
    main()
