"""Texture: a hole filled with patches from around it, guided by the network's fill, from coarse to fine.

After Wexler, Shechtman and Irani, "Space-Time Completion of Video" (2007): every patch that touches the hole looks for
the source most like it, every pixel becomes the mean of what the patches over it say, and so on until both agree; then
the same at twice the size. The search starts, where the hole is a few pixels deep, from the network's fill and from one
that continues lines and is guided by it (see `structure`); the start whose patches fit best is carried on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole

from .compose import Match
from .level import REACH, SIDE, Level, Places, nearest_of
from .membrane import Floats, harmonic, resized
from .plain import contrast, depth_of
from .search import Search
from .structure import continued

COARSE_DEPTH = 15
"""Pixels of depth that a hole has at most at the coarsest size."""

SMALLEST = 8 * SIDE
"""Pixels of the window's shorter side, under which it is not halved again."""

MULTIPLE = 16
"""Pixels that a window's sides are a multiple of, so that it can be halved four times."""

EXHAUSTIVE = 150_000_000
"""Targets times sources, up to which every target is compared with every source."""

ROUNDS = (8, 5, 4, 2, 1)
"""Of search and vote at each size, from the coarsest on; the last number holds for all larger ones."""

CONTRAST_WEIGHT = 4.0
"""Of the local contrast as a channel: it tells smooth from rough where shrinking has made both smooth."""

FADING = 2.2
"""By how much less a vote counts for each pixel of depth at the coarsest size: what is near the border is sure."""

PREFERENCE = 0.9
"""Another start than the network's must cost less than this share of what that one costs."""

NEARLY = 1.1
"""With a seed, another start than the best is drawn from those that cost up to so many times as much."""

SOFTNESS = 2.0
"""Of votes: a patch whose cost is so many times the 75th percentile counts 1 / e."""

JITTER = 12.0
"""Levels by which a seeded start differs from the network's fill."""


@dataclass(frozen=True)
class Effort:
    """How much is searched."""

    guesses: tuple[float, ...] = (0.05,)  # starts that continue lines: how much the network's fill counts in each
    rounds: tuple[int, ...] = ROUNDS
    exhaustive: int = EXHAUSTIVE
    network: float = 0.0  # share of the network's toned fill in the result


THICK_HOLE = Effort()
THIN_HOLE = Effort((), (4, 2), 20_000_000, 0.25)
"""For scratches and letters, whose borders say nearly all. There the network is seldom wrong by much: with a quarter of
its fill, text and scratches on ten photos of 8 megapixels came 0.45 dB nearer to the truth."""


@dataclass
class Found:
    """Where one start led to at one level."""

    image: Floats  # (H, W, C + 1), filled
    rows: Places  # offsets of the level's targets
    columns: Places
    cost: float  # mean distance of patches, levels a pixel
    age: int  # levels above the one where the start began


def fill_from_around(
    image: Floats, hole: Hole, known: Hole, *, seed: int = 0, effort: Effort = THICK_HOLE
) -> Floats | None:
    """Fill a hole with copies from the window around it.

    Args: see `match`.

    Returns:
        (H, W, C) float32, right in the hole alone; None where there is nothing to copy.
    """
    found = match(image, hole, known, seed=seed, effort=effort)
    if found is None:
        return None
    return np.asarray((1 - effort.network) * found.composed(hole.shape) + effort.network * image, np.float32)


def match(image: Floats, hole: Hole, known: Hole, *, seed: int = 0, effort: Effort = THICK_HOLE) -> Match | None:
    """Find out where the patches of a hole are to be copied from.

    Args:
        image: (H, W, C) float32, levels of 0 to 255; in the hole the network's fill, which guides.
        hole: (H, W) bool.
        known: (H, W) bool, what may be copied; what is neither hole nor known is left out.
        seed: 0 takes the start that fits best, others draw among those that fit nearly as well.
        effort: how much is searched.

    Returns:
        The match; None where there is nothing to copy.
    """
    levels = _pyramid(image, hole, known, effort)
    if not all(
        level.sources.any() and len(level.y) for level in levels
    ):  # among specks a coarse one alone may have some
        return None
    found = _best_start(levels, seed, effort)  # at the third coarsest level, if there are three
    for number in range(len(levels) - 4, -1, -1):
        found = _climbed(levels[number], levels[number + 1], found, effort, last=not number)
    top, _, left, _ = _frame(*hole.shape)
    rows, columns = levels[0].offsets_as_map(found.rows, found.columns)
    return Match(levels[0].image[:, :, :-1], found.image[:, :, :-1], rows, columns, top, left)


def _pyramid(image: Floats, hole: Hole, known: Hole, effort: Effort) -> list[Level]:
    """The window at its own size, at half of it, and so on. Its border is mirrored, so that patches reach it."""
    measured = CONTRAST_WEIGHT * harmonic(contrast(image, known)[:, :, None], known)
    size = _Size(np.dstack([image, measured]), hole, known).framed(_frame(*hole.shape), cv2.BORDER_REFLECT_101)
    sizes, depth = [size], depth_of(hole)
    while min(size.hole.shape) > SMALLEST and (depth > COARSE_DEPTH or (depth > 2 and size.work() > effort.exhaustive)):
        size, depth = size.halved(), depth / 2
        sizes.append(size)
    strides = [2 if len(sizes) > 1 else 1] + [1] * len(sizes)
    return [Level(*size, stride) for size, stride in zip(sizes, strides, strict=False)]


def _frame(height: int, width: int) -> tuple[int, int, int, int]:
    """What to add above, below, left and right of a window: room for patches, up to a multiple of MULTIPLE, the same on
    both sides, so that a mirrored window is halved in the mirrored way."""
    more = [-(side + 2 * REACH) % MULTIPLE for side in (height, width)]
    (top, left), (bottom, right) = ([REACH + side // 2 for side in more], [REACH + (side + 1) // 2 for side in more])
    return top, bottom, left, right


class _Size(NamedTuple):
    """The window at one size: (H, W, C), (H, W) and (H, W)."""

    image: Floats
    hole: Hole
    known: Hole

    def framed(self, frame: tuple[int, int, int, int], how: int) -> "_Size":
        """With more rows above and below and columns to the left and to the right."""
        image, hole, known = (
            cv2.copyMakeBorder(plane, *frame, how)
            for plane in (self.image, self.hole.view(np.uint8), self.known.view(np.uint8))
        )
        return _Size(np.asarray(image, np.float32), hole > 0, known > 0)

    def work(self) -> int:
        """Targets times sources, about."""
        grown = cv2.dilate(self.hole.view(np.uint8), np.ones((SIDE, SIDE), np.uint8))
        return cv2.countNonZero(grown) * cv2.countNonZero(self.known.view(np.uint8))

    def halved(self) -> "_Size":
        """At half the size. A pixel is hole if half of it is; else it shows the mean of what is known of it."""
        even = (
            self if not any(side % 2 for side in self.hole.shape) else self.framed((0, 1, 0, 1), cv2.BORDER_REPLICATE)
        )
        of_hole, hole_share = _mean_of_four(even.image, even.hole)
        of_known, known_share = _mean_of_four(even.image, even.known)
        hole = hole_share >= 0.5
        return _Size(np.where(hole[:, :, None], of_hole, of_known), hole, ~hole & (known_share > 0))


def _mean_of_four(image: Floats, where: Hole) -> tuple[Floats, Floats]:
    """The mean of each 2 x 2 pixels, weighted by `where`, and their mean weight; without a last odd row or column."""
    weight = where[: len(where) // 2 * 2, : where.shape[1] // 2 * 2].astype(np.float32)
    image = image[: weight.shape[0], : weight.shape[1]]
    size = (weight.shape[1] // 2, weight.shape[0] // 2)
    share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    total = resized(image * weight[:, :, None], size, cv2.INTER_AREA)
    return np.asarray(total / np.maximum(share, 1e-6)[:, :, None], np.float32), share


def _best_start(levels: list[Level], seed: int, effort: Effort) -> Found:
    """The best of all starts, after they were carried up to one level.

    The network's fill starts at the second coarsest. Lines are continued there, and at the coarsest, where they are a
    few pixels apart, so that patches see more than one: a wall goes on brick by brick.
    """
    coarsest = len(levels) - 1
    second = coarsest - 1 if coarsest > 1 else coarsest  # blocks of pixels, as at the finest, are no start
    third = max(coarsest - 2, 0)
    rng = np.random.default_rng(seed)
    starts = [levels[second].image.copy(), *(_jittered(levels[second], rng) for _ in range(2 if seed else 0))]
    tried = [_started(levels, second, start, third, effort) for start in starts]
    for number in sorted({second, coarsest}):
        level = levels[number]
        if len(level.y) * np.count_nonzero(level.sources) <= effort.exhaustive:
            starts = [continued(level, guess) for guess in effort.guesses]
            tried += [_started(levels, number, start, third, effort) for start in starts]
    return _chosen(tried, seed, rng)


def _started(levels: list[Level], number: int, start: Floats, until: int, effort: Effort) -> Found:
    """Settle a start at level `number`, and carry it up to level `until`."""
    found = _settled(levels[number], 0, Search(levels[number]), start, effort, last=not until)
    for finer in range(number - 1, until - 1, -1):
        found = _climbed(levels[finer], levels[finer + 1], found, effort, last=not finer)
    return found


def _chosen(tried: list[Found], seed: int, rng: np.random.Generator) -> Found:
    costs = [found.cost * (PREFERENCE if number == 0 else 1) for number, found in enumerate(tried)]
    order = np.argsort(costs, kind="stable")
    if not seed or len(tried) == 1:
        return tried[int(order[0])]
    near = [number for number in order[1:] if costs[number] <= NEARLY * costs[order[0]]]
    return tried[int(near[int(rng.integers(len(near)))] if near else order[1])]


def _jittered(level: Level, rng: np.random.Generator) -> Floats:
    """The network's fill with smooth noise."""
    noise = cv2.GaussianBlur(rng.standard_normal(level.image.shape).astype(np.float32), (0, 0), 3)
    return np.asarray(
        level.image + level.hole[:, :, None] * noise * (JITTER / max(float(noise.std()), 1e-6)), np.float32
    )


def _climbed(level: Level, coarse: Level, below: Found, effort: Effort, *, last: bool) -> Found:
    """Carry what was found at the next coarser level up to `level`, and settle it there."""
    rows, columns = coarse.offsets_as_map(below.rows, below.columns)
    y, x = nearest_of(coarse.targets)
    at = np.minimum(level.y // 2, coarse.height - 1), np.minimum(level.x // 2, coarse.width - 1)
    at = y[at], x[at]
    search = Search(level)
    search.rows, search.columns = (2 * offsets[at].astype(np.int64) for offsets in (rows, columns))
    to = level.nearest_source(level.y + search.rows, level.x + search.columns)
    search.rows, search.columns = to[0] - level.y, to[1] - level.x
    age = below.age + 1
    image = _voted(level, search, np.ones(len(level.y), np.float32), level.image, _confidence(level, age))
    return _settled(level, age, search, image, effort, last=last)


def _settled(level: Level, age: int, search: Search, image: Floats, effort: Effort, *, last: bool) -> Found:
    """Search and vote in turn at one level, which is `age` levels above the one where the start began."""
    confidence = _confidence(level, age)
    rounds = 1 if last and age else effort.rounds[min(age, len(effort.rounds) - 1)]
    exhaustive = not len(search.rows) or len(level.y) * np.count_nonzero(level.sources) <= effort.exhaustive
    if exhaustive:
        search.prepare()
    for _ in range(rounds):
        if not exhaustive:
            search.prepare(reach=2 if last else 8)
        wanted = level.features(image, level.y, level.x)
        if exhaustive:
            search.among_all(wanted)
        search.among_neighbours(wanted, shifts=not exhaustive)
        scale = SOFTNESS * float(np.percentile(search.cost, 75)) + 1e-3
        image = _voted(level, search, np.exp(-search.cost / scale), image, confidence)
    return Found(image, search.rows, search.columns, float(np.sqrt(search.cost).mean()) / SIDE, age)


def _confidence(level: Level, age: int) -> Floats:
    """(H, W) How much a vote for each pixel's surroundings counts by the depth of the patch's centre."""
    return np.asarray(FADING ** -(level.depth / 2**age), np.float32)


def _voted(level: Level, search: Search, weight: Floats, image: Floats, confidence: Floats) -> Floats:
    """Every pixel of the hole becomes the weighted mean of what the patches over it say."""
    top, bottom, left, right = level.box
    reach = REACH if level.stride == 1 else 2  # blocks: those on each side alone
    maps = level.offsets_as_map(search.rows, search.columns, weight)
    maps[2] *= confidence
    framed = [cv2.copyMakeBorder(a, reach, reach, reach, reach, cv2.BORDER_CONSTANT) for a in maps]
    columns, rows = np.arange(left, right, dtype=np.float32)[None], np.arange(top, bottom, dtype=np.float32)[:, None]
    total = np.zeros((bottom - top, right - left, image.shape[2]), np.float32)
    weights = np.zeros(total.shape[:2], np.float32)
    for dy in range(-reach, reach + 1, level.stride):
        for dx in range(-reach, reach + 1, level.stride):
            part = slice(reach + dy + top, reach + dy + bottom), slice(reach + dx + left, reach + dx + right)
            down, along, votes = (a[part] for a in framed)
            said = cv2.remap(
                level.image, columns + along, rows + down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
            )
            total += said * votes[:, :, None]
            weights += votes
    voted = image.copy()
    where = level.hole[top:bottom, left:right] & (weights > 1e-12)
    voted[top:bottom, left:right][where] = total[where] / weights[where][:, None]
    return voted
