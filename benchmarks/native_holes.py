"""The holes of a whole photo: which one is large, which are thin, and the windows in which they are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from lgnet_cli.imaging.groups import THIN
from lgnet_cli.imaging.masks import Hole

WINDOW = 512
"""Pixels of a window's side: what a person sees of a photo at 100 % around a hole, and what ST-LPIPS has time for."""

WINDOWS = 4
"""Of one photo, at most."""

THIN_SHARE = 1 / 40
"""Of a photo's shorter side: how deep a thin hole is at most in photos that are too small for THIN pixels."""


class Window(NamedTuple):
    """A rectangle of a photo."""

    left: int
    top: int
    width: int
    height: int

    @property
    def part(self) -> tuple[slice, slice]:
        """It as an index of (H, W, ...)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Parts:
    """Holes of two kinds, each (H, W) bool; some of the photo's holes may be of neither."""

    large: Hole = field(repr=False)  # the largest connected hole that is not thin; none where all are
    thin: Hole = field(repr=False)  # connected holes of which no pixel is far from what is known: letters, scratches


def split(hole: Hole) -> Parts:
    """Tell large and thin holes, (H, W) bool, apart by their greatest distance to a known pixel."""
    limit = min(THIN, THIN_SHARE * min(hole.shape))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hole.view(np.uint8), connectivity=8)
    depth = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels[hole].astype(np.intp), depth[hole])
    is_thick = deepest > limit
    areas = np.where(is_thick, stats[:, cv2.CC_STAT_AREA], 0)
    large = labels == areas.argmax() if is_thick.any() else np.zeros(hole.shape, bool)
    return Parts(large, hole & ~is_thick[labels])


def windows_of(hole: Hole, large: Hole) -> list[Window]:
    """At most WINDOWS windows: one on the middle of the large hole's box, then one after another where most is left.

    For each of the latter the photo is divided into squares; of the one that has most hole pixels which no window shows
    yet, the box of these is the new window's middle. So a long line of text or a scratch is seen piece by piece.
    """
    found: list[Window] = []
    left = hole.copy()
    while len(found) < WINDOWS and left.any():
        box = cv2.boundingRect(large.view(np.uint8)) if not found and large.any() else _fullest(left)
        found.append(window_on(box, hole.shape))
        left[found[-1].part] = False
    return found


def window_on(box: Sequence[int], shape: tuple[int, ...], side: int = WINDOW) -> Window:
    """The window on the middle of a box (left, top, width, height), shifted to lie in the photo (H, W).

    A photo that is smaller than `side` in one direction gives all that it has there.
    """
    width, height = min(side, shape[1]), min(side, shape[0])
    left, top = box[0] + box[2] // 2 - width // 2, box[1] + box[3] // 2 - height // 2
    return Window(min(max(left, 0), shape[1] - width), min(max(top, 0), shape[0] - height), width, height)


def _fullest(left: Hole) -> tuple[int, ...]:
    """The box of what is in the fullest square of a grid."""
    rows, columns = (np.arange(0, side, WINDOW) for side in left.shape)
    counts = np.add.reduceat(np.add.reduceat(left, rows, axis=0, dtype=np.int64), columns, axis=1)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    x, y, width, height = cv2.boundingRect(
        np.ascontiguousarray(left[rows[row] :, columns[column] :][:WINDOW, :WINDOW]).view(np.uint8)
    )
    return int(x + columns[column]), int(y + rows[row]), width, height
