"""Plain surroundings, such as sky, a wall or paper: the photo's own colours carried into the hole, with its grain.

Nothing is copied and the network's fill is not used: where only grain surrounds a hole, this is exact on even and on
evenly graded grounds, a tenth of the work of copying, and better. The grain is noise whose spectrum is that of the
surroundings, with random phases (Galerne, Gousseau and Morel, "Random Phase Textures", 2011).
"""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole

from .membrane import Floats, blurred_known, harmonic

THIN = 24
"""Pixels from the deepest pixel of a hole to its border, at most, for what is thin: a scratch, a letter."""

NEAR = {True: 8, False: 24}
"""{whether the hole is thin: pixels around it whose contrast decides whether its surroundings are plain}."""

FLAT = 2.0
"""Levels of local contrast (standard deviation) that 99 % of plain surroundings stay under."""

EVEN = 1.6
"""Around a thin hole, grain of up to ROUGH levels is plain too if it is even: if the 99th percentile of the local
contrast is under so many times the median, no edge is among it."""

ROUGH = 6.0

FEWEST = 50
"""Known pixels around a hole, without which nothing can be told of its surroundings."""

COLOUR_SIGMA = 2.0
"""Pixels: what is smoother is colour, what is finer is grain."""

GRAIN_REACH = 16
"""Pixels around the hole whose grain is taken."""

ROUNDING = 1 / 12
"""The variance, in squared steps of the picture's depth, that rounding adds. It is no grain of the photo."""


def depth_of(hole: Hole) -> float:
    """Pixels from the deepest pixel of any hole to what is known; the picture's border counts as known."""
    framed = np.pad(hole.view(np.uint8), 1)
    return float(cv2.distanceTransform(framed, cv2.DIST_L2, 3).max())


def contrast(image: Floats, known: Hole) -> Floats:
    """The local contrast, (H, W) in levels: the deviation from the mean around, of what is known."""
    weight = known.astype(np.float32)
    grey = image.mean(axis=2)
    mean = blurred_known(grey[:, :, None], weight, 2)[:, :, 0]
    squares = ((grey - mean) ** 2 * weight)[:, :, None]
    return np.asarray(np.sqrt(blurred_known(squares, weight, 3)[:, :, 0] + 0.25), np.float32)


def is_plain(image: Floats, hole: Hole, known: Hole) -> bool:
    """Whether nothing but grain crosses the border of a hole.

    Args:
        image: (H, W, C), levels of 0 to 255.
        hole: (H, W) bool, the hole.
        known: (H, W) bool, what may be looked at: other holes are neither.
    """
    thin = depth_of(hole) <= THIN
    ring = _around(hole, NEAR[thin]) & known
    if np.count_nonzero(ring) < FEWEST:
        return False
    middle, high = np.percentile(contrast(image - slope(image, ring), known)[ring], (50, 99))
    return bool(high < FLAT or (thin and middle < ROUGH and high < EVEN * middle))


def fill_plain(image: Floats, hole: Hole, known: Hole, *, seed: int = 0, unit: float = 1.0) -> Floats:
    """Fill a hole with the colours and the grain of its surroundings.

    Args:
        image: (H, W, C), levels of 0 to 255.
        hole: (H, W) bool.
        known: (H, W) bool, what may be looked at, not empty.
        seed: of the grain.
        unit: levels of 255 that one step of the picture's own depth makes: 1 for 8 bits, 1 / 257 for 16.

    Returns:
        (H, W, C) float32, right in the hole alone.
    """
    near = _around(hole, GRAIN_REACH) & known
    plane = slope(image, near)
    level = image - plane  # on this, blurring at a border moves no colours, which it would on a graded ground
    colour = blurred_known(level, known, COLOUR_SIGMA)
    return np.asarray(
        harmonic(colour, known) + plane + _grain(level - colour, near, seed, ROUNDING * unit**2), np.float32
    )


def slope(image: Floats, where: Hole) -> Floats:
    """The plane, (H, W, C), that fits a picture best where asked."""
    y, x = np.nonzero(where)
    height, width = where.shape
    points = np.stack([np.ones(len(y)), y / height - 0.5, x / width - 0.5], axis=1)
    found, *_ = np.linalg.lstsq(points, image[y, x].astype(np.float64), rcond=None)
    rows = (np.arange(height) / height - 0.5)[:, None, None]
    columns = (np.arange(width) / width - 0.5)[None, :, None]
    return np.asarray(found[0] + rows * found[1] + columns * found[2], np.float32)


def _around(hole: Hole, reach: int) -> Hole:
    """Pixels within `reach` of a hole, the hole too."""
    return cv2.dilate(hole.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0


def _grain(fine: Floats, near: Hole, seed: int, rounding: float) -> Floats:
    """Noise with the spectrum of `fine` (H, W, C) near the hole, and with its strength; one phase for all channels."""
    fine = fine * near[:, :, None]
    height, width = near.shape
    noise = np.random.default_rng(seed).standard_normal((height, width))
    phase = np.exp(1j * np.angle(np.fft.rfft2(noise)))
    drawn = np.fft.irfft2(np.abs(np.fft.rfft2(fine, axes=(0, 1))) * phase[:, :, None], s=(height, width), axes=(0, 1))
    strength = np.sqrt(np.maximum(fine[near].var(axis=0) - rounding, 0))
    return np.asarray(drawn * (strength / np.maximum(drawn.std(axis=(0, 1)), 1e-6)), np.float32)
