"""`constant`: what stays the same in all photos of a folder: a logo, the frame of a date stamp, dirt on the sensor.

Photos of one folder and one size are read once, before the batch, and added up: each pixel's colours, and their steps
to the right and down, cut off at CUT so that no single photo counts for much. An edge that is there in the same
direction in nearly all photos is a mark's; a mark's inside is what then varies much less than its surroundings.

It needs LEAST_PHOTOS photos of different scenes, and misses what is fainter than about half opaque, and digits that
differ. In a series from one tripod everything stays the same: `--max-found` refuses that. Memory is that of one photo
of WORKING_SIDE, a few times, however many photos there are.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8

from .protocol import Finding, Floats, Photo, regions_of

LEAST_PHOTOS = 8
"""Of one size; with fewer, nothing is found. From 12 on the figures of `lgnet bench find` hold."""

WORKING_SIDE = 1600
"""Pixels: larger photos are made smaller, and the mask larger again."""

CUT = 8.0
"""Of 255: steps between neighbours count up to this."""

AGREEMENT = 0.6
"""Of CUT: how large a step's mean over all photos has to be."""

TIMES_ERROR = 4.5
"""How many times its standard error that mean has to be."""

NEAR, INNER = 0.7, 0.5
"""A pixel is a mark's if it varies less than so many times as much as its surroundings: beside an edge, and inside."""

REACH = 6
"""Pixels from an edge to the middle of a mark, at most."""


class Sums:
    """Photos of one size, added up."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: list[Floats] = []

    def add(self, rgb: Bytes8) -> None:
        """Take one photo, (H, W, 3) uint8, of the first one's size."""
        values = _shrunk(rgb).astype(np.float32)
        right = np.diff(values, axis=1, append=values[:, -1:]).clip(-CUT, CUT)
        down = np.diff(values, axis=0, append=values[-1:]).clip(-CUT, CUT)
        terms = (right, right * right, down, down * down, values, values * values)
        if not self._sums:
            self._sums = [np.zeros_like(values) for _ in terms]
        for total, term in zip(self._sums, terms, strict=True):
            np.add(total, term, out=total)
        self.count += 1

    def hole(self) -> Hole:
        """What stays the same, at the working size; nothing of fewer than LEAST_PHOTOS photos."""
        if self.count < LEAST_PHOTOS:
            return np.zeros(self._sums[0].shape[:2] if self._sums else (1, 1), bool)
        right, right2, down, down2, value, value2 = (np.float32(1 / self.count) * total for total in self._sums)
        edges = self._agrees(right, right2) | self._agrees(down, down2)
        spread = np.sqrt(np.maximum(value2 - value * value, 0).mean(axis=2))
        return _marks(edges, spread / np.maximum(_around(spread), 1))

    def _agrees(self, mean: Floats, square: Floats) -> Hole:
        error = np.sqrt(np.maximum(square - mean * mean, 0.05) / self.count)
        size = np.abs(mean)
        return np.asarray(((size > AGREEMENT * CUT) & (size > TIMES_ERROR * error)).any(axis=2))


def _shrunk(rgb: Bytes8) -> Bytes8:
    scale = WORKING_SIDE / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _around(spread: Floats) -> Floats:
    """How much pixels usually vary around each, which marks of less than some 60 pixels do not change."""
    size = (max(1, spread.shape[1] // 4), max(1, spread.shape[0] // 4))
    small = cv2.resize(spread, size, interpolation=cv2.INTER_AREA)
    usual = cv2.medianBlur(small.clip(0, 255).astype(np.uint8), 31)
    return np.asarray(cv2.resize(usual, spread.shape[::-1]), np.float32)


def _marks(edges: Hole, ratio: Floats) -> Hole:
    """Groups of pixels that vary little, from the edges inwards."""
    square = np.ones((3, 3), np.uint8)
    beside = (cv2.dilate(edges.view(np.uint8), square) > 0) & (ratio < NEAR)
    inner, marks = ratio < INNER, beside
    for _ in range(REACH):
        marks = beside | ((cv2.dilate(marks.view(np.uint8), square) > 0) & inner)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(marks.view(np.uint8), connectivity=8)
    edge = np.bincount(labels.ravel(), beside.ravel(), count)
    taken = (edge >= 6) & (edge >= 0.1 * boxes[:count, cv2.CC_STAT_AREA])
    taken[0] = False
    return np.asarray(taken[labels])


class Constant:
    """Knows what stays the same in each folder; made by `Survey`."""

    def __init__(self, marks: dict[tuple[str, tuple[int, int]], bytes]) -> None:
        """`marks`: {(folder, (height, width)): the hole as a PNG at the working size}."""
        self._marks = marks

    def find(self, photo: Photo) -> Finding:
        png = self._marks.get((str(photo.path.parent), photo.shape))
        hole = np.zeros(photo.shape, bool)
        if png:
            small = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
            hole = cv2.resize(small, photo.shape[::-1], interpolation=cv2.INTER_LINEAR) > 64
        return Finding(hole, regions_of(hole, "constant in its folder"))


class Survey:
    """Adds up the photos of each folder and size, those of one folder after another."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[int, int], Sums] = OrderedDict()
        self._folder: Path | None = None
        self.marks: dict[tuple[str, tuple[int, int]], bytes] = {}

    def add_all(self, photos: Iterable[tuple[Path, Bytes8]]) -> dict[tuple[str, tuple[int, int]], bytes]:
        """Take (file, (H, W, 3) uint8) of each photo; what stays the same, as `Constant` takes it."""
        for path, rgb in photos:
            if path.parent != self._folder:
                self._close()
                self._folder = path.parent
            height, width = rgb.shape[:2]
            self._open.setdefault((height, width), Sums()).add(rgb)
            if len(self._open) > MOST_SIZES:  # the size that the fewest have: memory has to end somewhere
                del self._open[min(self._open, key=lambda size: self._open[size].count)]
        self._close()
        return self.marks

    def _close(self) -> None:
        for shape, sums in self._open.items():
            hole = sums.hole()
            if hole.any():
                self.marks[str(self._folder), shape] = cv2.imencode(".png", hole.view(np.uint8) * 255)[1].tobytes()
        self._open.clear()


MOST_SIZES = 4
"""Sizes of photos in one folder that are added up at a time."""
