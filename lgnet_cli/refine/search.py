"""For each target patch, the source that looks most like it: among all of them, or among those of its neighbours.

Near each other, targets should copy from near each other: one region, one offset. So an offset that differs from those
of the four neighbours costs more (a Potts term), which keeps regions whole and lines straight.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .level import Level, Places
from .membrane import Floats

COHERENCE = 0.6
"""What each of the four neighbours with another offset costs, in medians of the patches' costs."""

FAR = (1, 3, 8)
"""Targets away: neighbours whose offsets are tried."""

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))

AT_A_TIME = 500_000
"""Distances held in memory at a time: 2 MB, which stay in a processor's cache."""

CROWDED = 0.5
"""What a source costs more for each time that it is used beyond the first, in medians of the patches' costs."""


class Search:
    """Offsets for all targets of one level, and what they cost: squared distances of features."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.rows = self.columns = np.empty(0, np.int64)  # of the offsets
        self.cost = np.empty(0, np.float32)
        self._features = np.empty((0, 0), np.float32)  # of the sources that can be compared
        self._y = self._x = self.rows  # their places
        self._index = np.empty(0, np.int64)  # (H * W,) the number of the source at a place, -1 where there is none
        self._best = np.empty(0, np.int64)  # the number of each target's source
        self._neighbours: dict[tuple[int, int], Places] = {}

    def prepare(self, reach: int | None = None) -> None:
        """Compute the features of all sources, or of those within `reach` pixels of what the offsets lead to."""
        level, wanted = self.level, self.level.sources
        if reach is not None:
            used = np.zeros(wanted.shape, np.uint8)
            used[level.y + self.rows, level.x + self.columns] = 1
            wanted = wanted & (cv2.dilate(used, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0)
        y, x = self._y, self._x = np.nonzero(wanted)
        self._index = np.full(wanted.size, -1, np.int64)
        self._index[y * level.width + x] = np.arange(len(y))
        self._features = level.features(level.image, y, x)

    def among_all(self, wanted: Floats) -> None:
        """Take the best of all prepared sources, with a price on those that many used in the round before."""
        price = np.zeros(len(self._features), np.float32)
        if len(self._best):
            price = CROWDED * np.float32(np.median(self.cost)) * np.maximum(self._uses() - 1, 0)
        self._nearest(wanted, price)

    def among_neighbours(self, wanted: Floats, *, shifts: bool = True) -> None:
        """Take the offset of a neighbour, or one a pixel away, where it costs less."""
        self.cost = self._distance(wanted, self.rows, self.columns)
        finite = self.cost[np.isfinite(self.cost)]
        potts = COHERENCE * float(np.median(finite)) if finite.size else 0.0
        for far in FAR:
            self._improve(wanted, potts, [self._of_neighbour(far * dy, far * dx) for dy, dx in DIRECTIONS])
        if shifts:
            self._improve(wanted, potts, [(self.rows + dy, self.columns + dx) for dy, dx in DIRECTIONS])
            self._improve(wanted, potts, [self._of_neighbour(dy, dx) for dy, dx in DIRECTIONS])

    def _improve(self, wanted: Floats, potts: float, candidates: list[tuple[Places, Places]]) -> None:
        """Take each target's best candidate if it beats its own offset; all at once, so that no direction is first."""
        best, rows, columns = self.cost + potts * self._loneliness(self.rows, self.columns), self.rows, self.columns
        cost = self.cost
        for its_rows, its_columns in candidates:
            some = np.flatnonzero((its_rows != self.rows) | (its_columns != self.columns))
            distance = self._distance(wanted, its_rows[some], its_columns[some], some)
            total = distance + potts * self._loneliness(its_rows[some], its_columns[some], some)
            better = total < best[some]
            if not better.any():
                continue
            some, distance, total = some[better], distance[better], total[better]
            best, rows, columns, cost = best.copy(), rows.copy(), columns.copy(), cost.copy()
            best[some], cost[some] = total, distance
            rows[some], columns[some] = its_rows[some], its_columns[some]
        self.rows, self.columns, self.cost = rows, columns, cost

    def _nearest(self, wanted: Floats, price: Floats) -> None:
        level, y, x = self.level, self._y, self._x
        ranked = np.einsum("ij,ij->i", self._features, self._features) + price
        turned = np.ascontiguousarray(self._features.T) * np.float32(-2)
        best = np.empty(len(wanted), np.int64)
        step = max(1, AT_A_TIME // len(y))
        room = np.empty((min(step, len(wanted)), len(y)), np.float32)
        for at in range(0, len(wanted), step):
            part = wanted[at : at + step]
            distance = np.matmul(part, turned, out=room[: len(part)])
            distance += ranked
            best[at : at + step] = distance.argmin(axis=1)
        self.rows, self.columns = y[best] - level.y, x[best] - level.x
        self._best = best
        difference = self._features[best] - wanted
        self.cost = np.einsum("ij,ij->i", difference, difference)

    def _uses(self) -> Floats:
        """How many targets copy from around each source; in a region with one offset it is one."""
        level, y, x = self.level, self._y, self._x
        counts = np.bincount(y[self._best] * level.width + x[self._best], minlength=level.sources.size)
        around = cv2.blur(counts.reshape(level.sources.shape).astype(np.float32), (5, 5))
        return np.asarray(around[y, x], np.float32)

    def _distance(self, wanted: Floats, rows: Places, columns: Places, some: Places | None = None) -> Floats:
        """Between targets and the sources that offsets lead to; infinite where they lead to none."""
        level = self.level
        y, x = (level.y, level.x) if some is None else (level.y[some], level.x[some])
        y, x = y + rows, x + columns
        inside = (y >= 0) & (y < level.height) & (x >= 0) & (x < level.width)
        index = self._index[np.where(inside, y * level.width + x, 0)]
        difference = self._features[index]
        difference -= wanted if some is None else wanted[some]
        distance = np.einsum("ij,ij->i", difference, difference)
        distance[~inside | (index < 0)] = np.inf
        return np.asarray(distance, np.float32)

    def _of_neighbour(self, dy: int, dx: int) -> tuple[Places, Places]:
        """The offsets of the targets so many targets away; a target's own where there is no target."""
        number = self._neighbour(dy, dx)
        own = np.arange(len(number))
        number = np.where(number >= 0, number, own)
        return self.rows[number], self.columns[number]

    def _neighbour(self, dy: int, dx: int) -> Places:
        """The number of the target so many targets away from each, -1 where there is none."""
        if (dy, dx) not in self._neighbours:
            level = self.level
            y, x = level.y // level.stride + dy, level.x // level.stride + dx
            height, width = level.targets.shape
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            number = level.number[y.clip(0, height - 1), x.clip(0, width - 1)]
            self._neighbours[dy, dx] = np.where(inside, number, -1)
        return self._neighbours[dy, dx]

    def _loneliness(self, rows: Places, columns: Places, some: Places | None = None) -> NDArray[Any]:
        """How many of the four neighbours of each target have another offset than the given one."""
        count = np.zeros(len(rows), np.float32)
        for dy, dx in DIRECTIONS:
            number = self._neighbour(dy, dx) if some is None else self._neighbour(dy, dx)[some]
            count += (number >= 0) & ((self.rows[number] != rows) | (self.columns[number] != columns))
        return count
