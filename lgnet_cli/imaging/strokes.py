"""Holes as users draw them, made up: free-form strokes and rectangles, seeded, by hole share."""

import cv2
import numpy as np

from .masks import Hole

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


BORDER = 2
"""Pixels along the edge that holes stay off where they are to stay inside."""


def random_hole(rng: np.random.Generator, side: int, bucket: tuple[float, float], *, inside: bool = False) -> Hole:
    """A mask of (side, side) bool whose share of holes is in `bucket` (lo, hi], by drawing until one is.

    With `inside`, no hole touches the border.
    """
    lo, hi = bucket
    while True:
        canvas = np.zeros((side, side), np.uint8)
        for _ in range(64):
            (_stroke if rng.random() < 0.7 else _rectangle)(rng, canvas)
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
