"""`dust`: specks and short hairs on scans, nearly white or nearly black, and small against the photo.

A speck stands out from the band of sizes around it, by more than its neighbourhood usually does. What it is told by is
in FEATURES, with weights that were fitted on planted dust (`python -m lgnet_cli.benchmarks.dust_weights`). What it
misses: faint and coloured specks, specks in busy texture, and specks that touch or are longer than MOST_SIDE. It is
made for scans of several megapixels; in photos of half of one, leaves and grain look just like dust. An infrared
channel, where the scanner makes one, is the better measure: `--infrared`.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8

from .protocol import Finding, Floats, Photo, regions_of

RADIUS = 6
"""Pixels: a speck is what a disc of this radius does not fit into."""

LEAST_CONTRAST = 18
"""Of 255: fainter specks are left alone."""

LEAST_LEVEL = 100
"""Of 255, of the darkest channel of a bright speck; dark specks are looked for in the negative."""

MOST_SIDE = 40
"""Pixels: what is longer is no dust."""

MOST_AREA = 500
"""Pixels."""

BLOCK = 16
"""Pixels: side of the squares in which the usual contrast is measured; its median over 5 x 5 of them counts."""

FEATURES = {
    "contrast against the 97th percentile around, log": 2.72,
    "level, 0 to 1": 12.00,
    "saturation, 0 to 1": -4.31,
    "area in pixels, log": 0.51,
    "share of its bounding box": 4.30,
    "length by width, log": -1.87,
    "variance of the surroundings, log": -0.63,
    "steepness of its edges by contrast, log": 1.55,
}
"""What a speck is told by: the weight of each in a logistic regression."""

BIAS = -15.01


class Specks(NamedTuple):
    """What might be dust."""

    labels: NDArray[np.int32]  # (H, W): 0 is none, else the number of a candidate
    numbers: NDArray[np.int64]  # (N,) of the candidates
    features: NDArray[np.float64]  # (N, 8), as FEATURES names them


class Dust:
    """Finds specks."""

    def __init__(self, sensitivity: float = 1.0) -> None:
        """`sensitivity`: twice as much takes specks whose odds of being dust are a quarter."""
        self._limit = -2 * np.log(sensitivity)

    def find(self, photo: Photo) -> Finding:
        hole = np.zeros(photo.shape, bool)
        for rgb in (photo.rgb, 255 - photo.rgb):
            hole |= self._bright(rgb)
        return Finding(hole, regions_of(hole, "dust"))

    def _bright(self, rgb: Bytes8) -> Hole:
        specks = candidates(rgb)
        score = specks.features @ np.array(list(FEATURES.values())) + BIAS
        taken = np.zeros(int(specks.labels.max()) + 1, bool)
        taken[specks.numbers[score > self._limit]] = True
        return np.asarray(taken[specks.labels])


def candidates(rgb: Bytes8) -> Specks:
    """All bright specks of (H, W, 3) uint8 that might be dust, with what tells whether they are."""
    level = rgb.min(axis=2)
    fine = cv2.GaussianBlur(level.astype(np.float32), (0, 0), 0.5)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RADIUS + 1, 2 * RADIUS + 1))
    ground = np.asarray(cv2.morphologyEx(fine, cv2.MORPH_OPEN, disc), np.float32)
    contrast = fine - ground
    seen = (contrast > LEAST_CONTRAST) & (level > LEAST_LEVEL) & (contrast > 6 + usual(contrast, 90))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(seen.view(np.uint8), connectivity=8)
    _, _, width, height, area = boxes[:count].T
    small = (np.maximum(width, height) <= MOST_SIDE) & (area <= MOST_AREA)
    small[0] = False
    numbers = np.flatnonzero(small)
    inside = labels > 0
    owner = labels[inside]

    def highest(values: Floats) -> NDArray[np.float32]:
        most = np.zeros(count, np.float32)
        np.maximum.at(most, owner, values[inside])
        return most[numbers]

    def mean(values: Floats) -> NDArray[np.float64]:
        return np.asarray(np.bincount(owner, values[inside], count)[numbers] / area[numbers])

    steepness = cv2.magnitude(*(cv2.Sobel(level, cv2.CV_32F, x, y, scale=0.25) for x, y in ((1, 0), (0, 1))))
    long, short = np.maximum(width, height)[numbers], np.minimum(width, height)[numbers]
    features = [
        np.log(highest(contrast / (6 + usual(contrast, 97))) + 0.1),
        highest(level.astype(np.float32)) / 255,
        mean((rgb.max(axis=2) - level).astype(np.float32)) / 255,
        np.log(area[numbers]),
        area[numbers] / (long * short),
        np.log(long / short),
        np.log(mean(_variance(ground)) + 1),
        np.log((highest(steepness) + 1) / (highest(contrast) + 1)),
    ]
    return Specks(labels, numbers, np.stack(features, axis=1).astype(np.float64))


def usual(values: Floats, percentile: float) -> Floats:
    """How high `values` (H, W) get around each pixel, leaving out what only a few of the squares around have."""
    height, width = values.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    padded = cv2.copyMakeBorder(
        values, 0, rows * BLOCK - height, 0, columns * BLOCK - width, cv2.BORDER_REFLECT
    )  # fmt: skip
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows, columns, -1)
    high = cv2.medianBlur(np.percentile(blocks, percentile, axis=2).astype(np.float32), 5)
    whole = cv2.resize(high, (columns * BLOCK, rows * BLOCK), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[:height, :width], np.float32)


def _variance(values: Floats) -> Floats:
    mean = cv2.blur(values, (15, 15))
    return np.asarray(np.maximum(cv2.blur(values * values, (15, 15)) - mean * mean, 0), np.float32)
