"""What people see in a photo filled at its own size, as numbers: texture in the large hole, tint at thin ones' rims.

All on 8-bit RGB, (H, W, 3), known pixels the original's. How perceptual distance is measured is in `native.py`.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.benchmarks.metrics import Image, psnr_db
from lgnet_cli.imaging.masks import Hole

FINE = 2.0
"""Pixels: deviation of the Gaussian that takes the fine band off."""

REACH = 8
"""Pixels from an edge within which that Gaussian sees what lies beyond: four deviations, as OpenCV cuts it off."""

FLAT = 0.5
"""Levels of 255: a fine band of less deviation is little more than what rounding to 8 bits leaves (0.29)."""

RIM = 3
"""Pixels on either side of an edge that are compared."""

CELL = 64
"""Pixels: sides of the squares in which they are averaged. So much holds hundreds of pixels of a rim, over which noise
cancels, and little of the photo, so that a piece which is too bright cannot make up for another that is too dark."""

FEW = 16
"""Pixels on a side of the rim: a cell with fewer is left out."""


def fine_band_share(filled: Image, original: Image, large: Hole) -> float | None:
    """Deviation of the fine band in the large hole, divided by that of the original's; 1 is ideal, less is a blur.

    The fine band is grey minus its Gaussian blur, over hole pixels at least REACH from what is known.

    Returns:
        None where there are too few such pixels, or the original has no fine band (FLAT) to be compared with.
    """
    x, y, width, height = cv2.boundingRect(large.view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    framed = np.pad(large[box], 1).view(np.uint8)
    inner = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1] > REACH
    if np.count_nonzero(inner) < CELL:
        return None
    deviations = [float(_fine_band(picture[box])[inner].std()) for picture in (filled, original)]
    return deviations[0] / deviations[1] if deviations[1] >= FLAT else None


def psnr_in(filled: Image, original: Image, part: Hole) -> float | None:
    """PSNR over the pixels of `part` (H, W) alone, dB; 100 where they are equal, None where there are none."""
    return psnr_db(filled[part], original[part]) if part.any() else None


@dataclass(frozen=True)
class Rim:
    """The pixels on either side of the edges of thin holes, as flat indices, and the cell of each."""

    inside: NDArray[np.intp] = field(repr=False)
    outside: NDArray[np.intp] = field(repr=False)
    cells: tuple[NDArray[np.intp], NDArray[np.intp]] = field(repr=False)  # of `inside`, of `outside`


def rim_of(hole: Hole, thin: Hole) -> Rim:
    """What `rim_step` compares for the holes `thin` (H, W) among all holes `hole`."""
    depth = cv2.distanceTransform(thin.view(np.uint8), cv2.DIST_L2, 5)
    away = cv2.distanceTransform((~thin).view(np.uint8), cv2.DIST_L2, 5)
    inside = np.flatnonzero(thin & (depth <= RIM))
    outside = np.flatnonzero(~hole & (away <= RIM)) if thin.any() else inside
    width = hole.shape[1]
    cells = [flat // width // CELL * (width // CELL + 1) + flat % width // CELL for flat in (inside, outside)]
    return Rim(inside, outside, (cells[0], cells[1]))


def rim_step(picture: Image, rim: Rim) -> float | None:
    """How much the tint changes across the edges of thin holes, levels of 255; the original has some of it, too.

    In every cell: the mean colour of the hole's outermost RIM pixels against that of the RIM known pixels around it,
    the absolute difference, averaged over red, green and blue. Then the mean over cells, weighted by hole pixels.

    Returns:
        None where no cell has FEW pixels on both sides.
    """
    count = int(max(cells.max(initial=0) for cells in rim.cells)) + 1
    numbers = [np.bincount(cells, minlength=count) for cells in rim.cells]
    counted = np.minimum(*numbers) >= FEW
    if not counted.any():
        return None
    pixels = picture.reshape(-1, 3)
    sides = zip((rim.inside, rim.outside), rim.cells, numbers, strict=True)
    means = [_means(pixels[flat], cells, number) for flat, cells, number in sides]
    steps = np.abs(means[0] - means[1]).mean(axis=1)
    return float(np.average(steps[counted], weights=numbers[0][counted]))


def _means(pixels: Image, cells: NDArray[np.intp], number: NDArray[np.intp]) -> NDArray[np.float64]:
    """(cells, 3): the mean colour in each."""
    sums = [np.bincount(cells, pixels[:, channel], len(number)) for channel in range(3)]
    return np.stack(sums, axis=1) / np.maximum(number, 1)[:, None]


def _fine_band(picture: Image) -> NDArray[np.float32]:
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)  # in floats, which are not rounded
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), FINE), np.float32)
