"""From the box around a line of text to the strokes of its letters."""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8

from .protocol import Floats

CLUSTERS = 6
"""Colours that a box and its surroundings are sorted into: letters, outline, soft edges, and three grounds."""

MOST_SAMPLES = 20_000
"""Pixels that the colours are found from; the rest are only assigned."""

RATIO = 3.0
"""How many times as frequent inside the box as around it a colour has to be to count as the letters'."""

AROUND = 0.6
"""Width of the surroundings that a box is compared with, as a part of the line's height."""


def strokes(rgb: Bytes8, box: Floats) -> Hole:
    """The pixels of the letters in one box.

    Colours are clustered; those that the box has and its surroundings do not have are the letters. A box of which that
    says nothing is taken whole, since something was read there.

    Args:
        rgb: (H, W, 3) uint8, the photo.
        box: (4, 2), the corners of the line of text, in pixels.

    Returns:
        (H, W) bool.
    """
    hole = np.zeros(rgb.shape[:2], bool)
    margin = max(3, round(AROUND * line_height(box)))
    left, top = np.maximum(np.floor(box.min(axis=0)).astype(int) - margin, 0).tolist()
    right, bottom = (np.ceil(box.max(axis=0)).astype(int) + margin).tolist()
    patch = rgb[top:bottom, left:right]
    if not patch.size:
        return hole
    inside = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(box - (left, top)).astype(np.int32)], 1)
    hole[top:bottom, left:right] = _letters(patch, inside.astype(bool))
    return hole


def line_height(box: Floats) -> float:
    """The shorter side of a box, pixels."""
    return float(min(np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[2] - box[1])))


def _letters(patch: Bytes8, inside: Hole) -> Hole:
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(np.float32)
    labels = _clustered(lab).reshape(inside.shape)
    within = np.bincount(labels[inside], minlength=CLUSTERS) / max(1, int(inside.sum()))
    around = np.bincount(labels[~inside], minlength=CLUSTERS) / max(1, int((~inside).sum()))
    letters = inside & (within > RATIO * around)[labels]
    return letters if letters.any() else inside


def _clustered(pixels: Floats) -> np.ndarray:
    """The cluster of each pixel, 0 to CLUSTERS - 1; the same for the same pixels."""
    samples = pixels[:: len(pixels) // MOST_SAMPLES + 1]
    cv2.setRNGSeed(0)
    ends = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    count = min(CLUSTERS, len(samples))
    _, _, centres = cv2.kmeans(samples, count, None, ends, 2, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return np.asarray(np.argmin([np.square(pixels - centre).sum(axis=1) for centre in centres], axis=0))
