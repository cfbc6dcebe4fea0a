"""Make the sheets engines are verified on: `python -m lgnet_cli.benchmarks.crops examples engines/verification`."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.engines.verify import ROWS, TILE

QUALITY = 95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=Path, help="folder of images/ and masks/")
    parser.add_argument("out", type=Path, help="gets photos.jpg and masks.png")
    options = parser.parse_args()
    photos, masks = sheets(options.examples)
    options.out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out / "photos.jpg"), photos, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    cv2.imwrite(str(options.out / "masks.png"), masks)


def sheets(examples: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The ROWS * ROWS corner crops with the most to fill: (1024, 1024, 3) BGR and (1024, 1024) with 255 = hole."""
    found = []
    for path in sorted((examples / "images").iterdir()):
        photo = _read(path, cv2.IMREAD_COLOR)
        mask = _read(examples / "masks" / f"{path.stem}.png", cv2.IMREAD_GRAYSCALE)
        found += [(photo[y : y + TILE, x : x + TILE], mask[y : y + TILE, x : x + TILE]) for y, x in _corners(mask)]
    found.sort(key=lambda pair: -int((pair[1] >= 128).sum()))  # stable: of equals, the first by name
    chosen = found[: ROWS * ROWS]
    masks = [np.where(mask >= 128, 255, 0).astype(np.uint8) for _, mask in chosen]
    return _sheet([photo for photo, _ in chosen]), _sheet(masks)


def _read(path: Path, flag: int) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), flag)
    if picture is None:
        raise FileNotFoundError(f"{path}: cannot be read")
    return picture.astype(np.uint8)


def _corners(mask: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Where the crops in the four corners begin; fewer where they are the same."""
    bottom, right = (extent - TILE for extent in mask.shape)
    return sorted({(0, 0), (0, right), (bottom, 0), (bottom, right)})


def _sheet(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    rows = [np.concatenate(tiles[i : i + ROWS], axis=1) for i in range(0, len(tiles), ROWS)]
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
