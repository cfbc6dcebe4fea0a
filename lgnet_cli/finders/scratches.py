"""`scratches`: long thin lines on scans of film and prints, brighter or darker than both of their sides.

At every pixel the line is compared with both of its sides; that alone tells little, so it is summed up along the
line's length, in every direction. What it misses: short and much bent scratches, and broad ones (BROADEST). It also
finds what is a long thin straight line in the photo itself, such as wires, masts and rigging.
"""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole

from .dust import usual
from .protocol import Finding, Floats, Photo, regions_of

BROADEST = 4
"""Pixels: a line's sides are compared with it at this distance."""

LEAST_CONTRAST = 5.0
"""Of 255."""

WORKING_SIDE = 2000
"""Pixels: lines are summed up in a picture of at most this size."""

WINDOW = 0.06
"""Length that is summed up, of the picture's longer side."""

LEAST_COVER = 0.7
"""Share of that length on which the line has to be seen."""

LEAST_LENGTH = 0.2
"""Of the picture's shorter side: what is shorter is no scratch."""

SLOPES = np.linspace(-1, 1, 45)
"""Pixels to the right for each pixel down that are tried; the picture turned by 90 degrees has the rest."""


class Scratches:
    """Finds long thin lines."""

    def __init__(self, sensitivity: float = 1.0) -> None:
        """`sensitivity`: contrast and cover may be so much less."""
        self._sensitivity = sensitivity

    def find(self, photo: Photo) -> Finding:
        hole = np.zeros(photo.shape, bool)
        for level in (photo.rgb.min(axis=2), 255 - photo.rgb.max(axis=2)):
            hole |= lines(level.astype(np.float32), self._sensitivity)
        return Finding(hole, regions_of(hole, "scratch"))


def lines(level: Floats, sensitivity: float = 1.0) -> Hole:
    """Long bright lines of (H, W) float32, of which 255 is the whole range."""
    level = np.asarray(cv2.GaussianBlur(level, (0, 0), 0.7), np.float32)
    found = np.zeros(level.shape, bool)
    for turned in (False, True):
        picture = np.ascontiguousarray(level.T) if turned else level
        part = _long(_seen(picture, sensitivity), sensitivity)
        found |= part.T if turned else part
    return found


def _seen(level: Floats, sensitivity: float) -> Floats:
    """How clearly each pixel is brighter than what is left and right of it, 0 to 1."""
    padded = cv2.copyMakeBorder(level, 0, 0, BROADEST, BROADEST, cv2.BORDER_REPLICATE)
    width = level.shape[1]
    sides = np.maximum(padded[:, :width], padded[:, 2 * BROADEST :])
    contrast = np.maximum(level - sides, 0)
    limit = np.maximum(LEAST_CONTRAST, 1.5 * usual(contrast, 90)) / sensitivity
    return np.asarray(np.minimum(contrast / limit, 1), np.float32)


def _long(seen: Floats, sensitivity: float) -> Hole:
    """What of `seen` lies on long lines that are more upright than level."""
    factor = max(1, -(-max(seen.shape) // WORKING_SIDE))
    small = _shrunk(seen, factor)
    window = max(31, round(WINDOW * max(small.shape))) | 1
    cover = np.zeros(small.shape, np.float32)
    for slope in SLOPES.tolist():
        cover = np.maximum(cover, _summed(small, slope, window))
    strong = cover > LEAST_COVER / sensitivity**0.5
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(strong.view(np.uint8), connectivity=8)
    keep = boxes[:count, cv2.CC_STAT_HEIGHT] >= LEAST_LENGTH * min(small.shape)
    keep[0] = False
    on_lines = cv2.resize(keep[labels].astype(np.uint8), seen.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    hole = on_lines & (seen > 0.5)
    return cv2.morphologyEx(hole.view(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 1), np.uint8)) > 0


def _shrunk(seen: Floats, factor: int) -> Floats:
    """The highest of each square of `factor` pixels."""
    if factor == 1:
        return seen
    highest = cv2.dilate(seen, np.ones((factor, factor), np.uint8))
    return np.ascontiguousarray(highest[factor // 2 :: factor, factor // 2 :: factor])


def _summed(seen: Floats, slope: float, window: int) -> Floats:
    """The mean of `seen` along lines that go `slope` pixels to the right for each pixel down."""
    height, width = seen.shape
    room = int(abs(slope) * height) + 1
    shift = np.array([[1, -slope, slope * height if slope > 0 else 0], [0, 1, 0]])
    sheared = cv2.warpAffine(seen, shift, (width + room, height), flags=cv2.INTER_LINEAR)
    mean = cv2.blur(sheared, (1, window), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.warpAffine(mean, shift, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
