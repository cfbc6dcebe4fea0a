"""One size of the window around a hole: which patches touch the hole, which are sources, and numbers that compare them.

A target is a patch that touches the hole, a source is a patch that lies wholly in what is known. Both are given by
their centres. A target's offset (rows, columns) leads from its centre to the centre of its source.
"""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.imaging.masks import Hole

from .membrane import Floats

Places = NDArray[np.int64]

REACH = 3
"""Pixels from the centre of a patch to its side: patches are 7 x 7."""

SIDE = 2 * REACH + 1

FEATURES = 16
"""Numbers that stand for a patch: its principal components."""

SAMPLES = 3000
"""Sources, about, that the principal components are computed from."""

CHUNK = 8192
"""Patches whose pixels are gathered at a time."""

EVERY_PIXEL = tuple((dy, dx) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1))

AROUND_BLOCK = tuple((dy, dx) for dy in (-2, 0, 1, 3) for dx in (-2, 0, 1, 3))
"""Pixels that stand for a block of 2 x 2 and its surroundings, relative to the block's first pixel. Sixteen in place of
49 make gathering three times as fast, at a size where offsets are only corrected by a pixel."""


class Level:
    """The window at one size.

    Args:
        image: (H, W, C) float32, filled. The last channel may be any measure that patches are to agree in.
        hole: (H, W) bool.
        known: (H, W) bool, what may be copied; what is neither is left out of all.
        stride: 1, or 2 for targets that are blocks of 2 x 2 pixels.
    """

    def __init__(self, image: Floats, hole: Hole, known: Hole, stride: int = 1) -> None:
        self.image, self.hole, self.known, self.stride = image, hole, known, stride
        self.height, self.width = hole.shape
        self.pixels = EVERY_PIXEL if stride == 1 else AROUND_BLOCK
        self.sources = _inner(~_grown(~known))
        self.targets = _inner(_grown(hole))
        if stride == 2:
            self.targets = _of_blocks(self.targets)
        self.y, self.x = np.nonzero(self.targets)
        self.y, self.x = self.y * stride, self.x * stride
        self.number: Places = np.full(self.targets.shape, -1, np.int64)
        self.number[self.targets] = np.arange(len(self.y))

    @cached_property
    def depth(self) -> Floats:
        """(H, W) pixels from each pixel of the hole to its border."""
        return np.asarray(cv2.distanceTransform(self.hole.view(np.uint8), cv2.DIST_L2, 3), np.float32)

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """Of the hole: top, bottom, left, right, bottom and right excluded."""
        x, y, width, height = cv2.boundingRect(self.hole.view(np.uint8))
        return y, y + height, x, x + width

    def features(self, image: Floats, y: Places, x: Places) -> Floats:
        """(n, FEATURES) the principal components of the patches of `image` (H, W, C) at n centres."""
        mean, basis = self._components
        found = np.empty((len(y), basis.shape[1]), np.float32)
        for at in range(0, len(y), CHUNK):
            found[at : at + CHUNK] = (self.patches(image, y[at : at + CHUNK], x[at : at + CHUNK]) - mean) @ basis
        return found

    def offsets_as_map(self, *values: NDArray[Any]) -> list[Floats]:
        """Values of the targets as (H, W) float32 maps, zero elsewhere."""
        maps: list[Floats] = []
        for value in values:
            grid: Floats = np.zeros(self.targets.shape, np.float32)
            grid[self.targets] = value
            if self.stride == 2:
                odd = [(0, side % 2) for side in self.hole.shape]  # a last row or column that is in no block
                grid = np.pad(np.repeat(np.repeat(grid, 2, axis=0), 2, axis=1), odd)
            maps.append(grid)
        return maps

    def nearest_source(self, rows: Places, columns: Places) -> tuple[Places, Places]:
        """The places themselves where they are sources, and the nearest source where they are not."""
        rows, columns = rows.clip(0, self.height - 1), columns.clip(0, self.width - 1)
        wrong = ~self.sources[rows, columns]
        if wrong.any():
            y, x = self._nearest
            at = rows[wrong], columns[wrong]
            rows[wrong], columns[wrong] = y[at], x[at]
        return rows, columns

    @cached_property
    def _nearest(self) -> tuple[Places, Places]:
        """(H, W) each: row and column of the source that is nearest to each pixel."""
        return nearest_of(self.sources)

    @cached_property
    def _components(self) -> tuple[Floats, Floats]:
        """The mean source patch, and its principal components as columns."""
        y, x = np.nonzero(self.sources & _grid(self.sources.shape, self._spacing()))
        if not len(y):
            y, x = np.nonzero(self.sources)
        patches = self.patches(self.image, y, x)
        mean = patches.mean(axis=0)
        _, vectors = np.linalg.eigh((patches - mean).T @ (patches - mean))
        return mean, np.ascontiguousarray(vectors[:, ::-1][:, :FEATURES])

    def _spacing(self) -> int:
        return max(1, int(np.sqrt(np.count_nonzero(self.sources) / SAMPLES)))

    def patches(self, image: Floats, y: Places, x: Places) -> Floats:
        """(n, pixels of a patch x C)."""
        flat, at = image.reshape(-1, image.shape[2]), y * self.width + x
        patches = np.empty((len(y), len(self.pixels), image.shape[2]), np.float32)
        for i, (dy, dx) in enumerate(self.pixels):
            patches[:, i] = flat[at + (dy * self.width + dx)]
        return patches.reshape(len(y), -1)


def nearest_of(places: Hole) -> tuple[Places, Places]:
    """(H, W) each: row and column of the nearest True of (H, W) bool, of which there must be one."""
    apart = (~places).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    y, x = np.nonzero(places)
    first = np.zeros(int(labels.max()) + 1, np.int64)
    first[labels[y, x]] = np.arange(len(y))
    return y[first[labels]], x[first[labels]]


def _grown(hole: Hole) -> Hole:
    """Centres of the patches that touch a hole."""
    return cv2.dilate(hole.view(np.uint8), np.ones((SIDE, SIDE), np.uint8)) > 0


def _inner(centres: Hole) -> Hole:
    """Without those whose patches reach over the window's border."""
    centres[:REACH], centres[-REACH:], centres[:, :REACH], centres[:, -REACH:] = False, False, False, False
    return centres


def _of_blocks(targets: Hole) -> Hole:
    """Blocks of 2 x 2 pixels of which one is a target."""
    height, width = (side // 2 for side in targets.shape)
    blocks = targets[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    found = np.asarray(blocks.any(axis=(1, 3)), np.bool_)
    found[:2], found[-2:], found[:, :2], found[:, -2:] = False, False, False, False
    return found


def _grid(shape: tuple[int, ...], spacing: int) -> Hole:
    """Points `spacing` apart; on the same points in a mirrored window."""
    rows, columns = (np.minimum(np.arange(side), side - 1 - np.arange(side)) % spacing == 0 for side in shape)
    return np.asarray(rows[:, None] & columns[None, :], np.bool_)
