"""Holes as users draw them, made up: free-form strokes, rectangles and object-shaped blobs, seeded, by hole share."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .masks import Hole
from .picture import Bytes8

BUCKETS = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))
"""Hole shares (lo, hi] by which the papers of this field report (Liu et al. 2018)."""

LABELS = tuple(f"{100 * lo:.0f}-{100 * hi:.0f}" for lo, hi in BUCKETS)
"""The buckets in percent: 1-10 and so on."""

UNIT = 256
"""Pixels: the side that lengths and widths below are meant at; they grow with the side."""

VERTICES = (4, 17)  # of one stroke
LENGTH = (20, 128)  # of one segment, pixels
WIDTH = (12, 48)  # of one stroke, pixels
RECTANGLE = (30, 150)  # sides, pixels
BLOB = (30, 200)  # the longer side, pixels

OBJECTS = 0.3
"""Share of the masks that hold blobs alone. What people remove most is an object: one closed, thick hole amid clean
surroundings, which strokes and rectangles drawn over a blob would hide. The others are as this field draws them."""

DETAIL = 256  # pixels of the square on which an outline is drawn before it is scaled
LIMBS = (1, 5)  # of an object
STEPS = 4  # of an outline's points on either side, whose mean smooths away the pixels it was drawn with

BORDER = 2
"""Pixels along the edge that holes stay off where they are to stay inside."""


def random_hole(
    rng: np.random.Generator,
    side: int,
    bucket: tuple[float, float],
    *,
    inside: bool = False,
    objects: float = OBJECTS,
) -> Hole:
    """A mask of (side, side) bool whose share of holes is in `bucket` (lo, hi], by drawing until one is.

    Args:
        rng: on whose state alone the mask depends.
        side: pixels.
        bucket: shares of 0 to 1.
        inside: no hole touches the border.
        objects: share of the masks that hold blobs alone; the others hold strokes and rectangles.
    """
    lo, hi = bucket
    only_blobs = rng.random() < objects  # once: or fewer masks would hold the kind that misses the bucket more often
    while True:
        canvas = np.zeros((side, side), np.uint8)
        for _ in range(64):
            (_object if only_blobs else _stroke if rng.random() < 0.7 else _rectangle)(rng, canvas)
            if inside:
                canvas[:BORDER], canvas[-BORDER:], canvas[:, :BORDER], canvas[:, -BORDER:] = 0, 0, 0, 0
            share = float(canvas.mean())
            if share > hi:
                break
            if share > lo and rng.random() < 0.5:  # not always as soon as the bucket is reached
                return canvas.astype(bool)


def bucket_of(share: float) -> str | None:
    """The label of the bucket that holds a hole share of 0 to 1; None outside of all."""
    return next((label for label, (lo, hi) in zip(LABELS, BUCKETS, strict=True) if lo < share <= hi), None)


def outline(rng: np.random.Generator) -> NDArray[np.float64]:
    """The outline of an object: (N, 2) x and y, closed and smooth; its box begins at (0, 0), its longer side is 1.

    A body with some limbs: ellipses that overlap, melted together by a blur and a threshold.
    """
    canvas = np.zeros((DETAIL, DETAIL), np.uint8)
    middle, turn = np.full(2, DETAIL / 2), rng.uniform(0, np.pi)
    body = DETAIL * rng.uniform(0.17, 0.23) * np.array([1, rng.uniform(0.5, 1)])  # half axes, pixels
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    _ellipse(canvas, middle, body, turn)
    for _ in range(rng.integers(*LIMBS, endpoint=True)):
        angle = rng.uniform(0, 2 * np.pi)
        on_rim = middle + (body * (np.cos(angle), np.sin(angle))) @ turned
        _ellipse(canvas, on_rim, body.min() * rng.uniform(0.3, 0.8, 2), rng.uniform(0, np.pi))
    melted = cv2.GaussianBlur(canvas, (0, 0), DETAIL / 40)  # of 8 bits: the same on every machine
    lines, _ = cv2.findContours((melted >= 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(lines, key=len)[:, 0].astype(np.float64)
    smooth = np.mean([np.roll(points, step, axis=0) for step in range(-STEPS, STEPS + 1)], axis=0)
    smooth -= smooth.min(axis=0)
    return np.asarray(smooth / smooth.max())


def fill_outline(canvas: Bytes8, points: NDArray[np.float64]) -> None:
    """Set `canvas` (H, W) to 1 inside the closed line of (N, 2) x and y in pixels; what is beyond the edge is cut."""
    cv2.fillPoly(canvas, [np.rint(points * 16).astype(np.int32)], 1, shift=4)  # sixteenths of a pixel


def _stroke(rng: np.random.Generator, canvas: np.ndarray) -> None:
    scale = canvas.shape[0] / UNIT
    width = max(1, round(rng.integers(*WIDTH, endpoint=True) * scale))
    points = [rng.uniform(0, canvas.shape[0], 2)]
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(*VERTICES, endpoint=True) - 1):
        angle += rng.uniform(-2, 2)  # radians: strokes wander, and seldom turn straight back
        step = rng.integers(*LENGTH, endpoint=True) * scale
        points.append((points[-1] + step * np.array([np.cos(angle), np.sin(angle)])).clip(0, canvas.shape[0] - 1))
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, width)
    for x, y in np.rint(points).astype(int).tolist():
        cv2.circle(canvas, (x, y), width // 2, 1, -1)  # round joints


def _rectangle(rng: np.random.Generator, canvas: np.ndarray) -> None:
    side = canvas.shape[0]
    height, width = np.rint(rng.integers(*RECTANGLE, size=2, endpoint=True) * side / UNIT).astype(int)
    top, left = rng.integers(0, max(side - height, 1)), rng.integers(0, max(side - width, 1))
    canvas[top : top + height, left : left + width] = 1


def _object(rng: np.random.Generator, canvas: np.ndarray) -> None:
    """A blob whose middle is inside; the edge may cut it, as it cuts what people photograph."""
    side = canvas.shape[0]
    shape = outline(rng) * (rng.integers(*BLOB, endpoint=True) * side / UNIT)
    fill_outline(canvas, shape - shape.max(axis=0) / 2 + rng.uniform(0, side, 2))


def _ellipse(canvas: Bytes8, centre: NDArray[np.float64], half_axes: NDArray[np.float64], turn: float) -> None:
    at, axes = (tuple(np.rint(pair).astype(int).tolist()) for pair in (centre, half_axes))
    cv2.ellipse(canvas, at, axes, np.degrees(turn), 0, 360, 255, -1)
