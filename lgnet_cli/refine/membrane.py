"""Membranes: values at the border of a hole, carried over the hole as smoothly as possible.

A membrane solves Laplace's equation in the hole with the given values around it. The solver starts from coarse to fine
(cascadic multigrid) and then runs V-cycles, the textbook scheme of Briggs, Henson and McCormick, "A Multigrid
Tutorial" (2000). The picture's own border is free: nothing is known beyond it, so nothing pulls at the membrane there.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.imaging.masks import Hole

Floats = NDArray[np.float32]

NEIGHBOURS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)
"""The mean of the four neighbours, which every pixel of a membrane equals."""

CYCLES = 2
"""V-cycles after the start from coarse to fine. On mismatches of the network at 256 x 256, 2 leave an error of 0.7
levels of 255, and cost as much as the start alone with 12 sweeps a level, which leaves 2.2."""

COARSEST_SWEEPS = 16
"""At the smallest size, of a few pixels, where they cost nothing."""

DAMPING = 0.8
"""Of a Jacobi sweep inside a V-cycle: 4/5 damps the short waves of the error fastest in two dimensions."""


def harmonic(values: Floats, given: Hole, cycles: int = CYCLES) -> Floats:
    """The membrane through the given values.

    Args:
        values: (H, W, C); what is not given has no influence.
        given: (H, W) bool, which pixels are given. Where none is, the result is zero.
        cycles: V-cycles; more are more exact.

    Returns:
        (H, W, C) float32, which equals `values` where they are given.
    """
    values = _kept(values, given, np.float32(0))
    if given.all() or not given.any():
        return values
    x = _from_coarse_to_fine(values, given)
    free = _free_pyramid(given)
    for _ in range(cycles):
        x = _v_cycle(x, np.zeros_like(x), free)
    return _kept(values, given, x)


def blurred_known(values: Floats, known: Hole | Floats, sigma: float) -> Floats:
    """The mean of what is known around each pixel, weighted by a Gaussian of `sigma` pixels; zero far from all of it.

    Args:
        values: (H, W, C).
        known: (H, W) bool, or weights.
        sigma: pixels.
    """
    weight = known.astype(np.float32)
    total = _channels(cv2.GaussianBlur(values * weight[:, :, None], (0, 0), sigma))
    return np.asarray(total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-6)[:, :, None], np.float32)


def _from_coarse_to_fine(values: Floats, given: Hole) -> Floats:
    """A first guess: solved at half the size, made larger, and smoothed a little; so down to a few pixels."""
    half = _half(np.dstack([values, given.astype(np.float32)])) if min(given.shape) > 2 and not given.all() else None
    if half is None:
        mean = values.sum(axis=(0, 1)) / max(int(given.sum()), 1)
        return _kept(values, given, mean)
    share = half[:, :, -1]
    means = np.asarray(half[:, :, :-1] / np.maximum(share, 1e-6)[:, :, None], np.float32)
    x = _kept(values, given, _enlarged(_from_coarse_to_fine(means, share > 0), given.shape))
    for _ in range(2):
        x = _kept(values, given, _mean_of_neighbours(x))
    return x


def _kept(values: Floats, given: Hole, others: Any) -> Floats:
    """The values where they are given, elsewhere others."""
    return np.asarray(np.where(given[:, :, None], values, others), np.float32)


def _free_pyramid(given: Hole) -> list[Floats]:
    """Where the membrane is free, as weights of 0 and 1, from the full size to the smallest.

    A pixel of a smaller size is free only if all that it stands for is: with less, V-cycles diverge at noisy borders.
    """
    free = [(~given).astype(np.float32)[:, :, None]]
    while min(free[-1].shape[:2]) > 4:
        free.append((_half(free[-1]) > 0.99).astype(np.float32))
    return free


def _v_cycle(x: Floats, wanted: Floats, free: list[Floats]) -> Floats:
    """One V-cycle on `x - mean of neighbours = wanted`, which leaves what is not free as it is."""
    own = free[0]
    if len(free) == 1:
        for _ in range(COARSEST_SWEEPS):
            x = x + _residual(x, wanted, own)
        return x
    x = _swept(x, wanted, own)
    # At half the size the neighbours are twice as far away, so that the same residual stands for four times as much.
    small = 4 * _half(_residual(x, wanted, own)) * free[1]
    error = _v_cycle(np.zeros_like(small), small, free[1:])
    return _swept(x + _enlarged(error, own.shape) * own, wanted, own)


def _swept(x: Floats, wanted: Floats, free: Floats) -> Floats:
    for _ in range(2):
        x = x + DAMPING * _residual(x, wanted, free)
    return x


def _residual(x: Floats, wanted: Floats, free: Floats) -> Floats:
    return np.asarray((_mean_of_neighbours(x) - x + wanted) * free, np.float32)


def _mean_of_neighbours(x: Floats) -> Floats:
    return _channels(cv2.filter2D(x, -1, NEIGHBOURS, borderType=cv2.BORDER_REPLICATE))


def _half(x: Floats) -> Floats:
    return resized(x, ((x.shape[1] + 1) // 2, (x.shape[0] + 1) // 2), cv2.INTER_AREA)


def _enlarged(x: Floats, shape: tuple[int, ...]) -> Floats:
    return resized(x, (shape[1], shape[0]), cv2.INTER_LINEAR)


def resized(x: Floats, size: tuple[int, int], how: int) -> Floats:
    """(H, W, C) at another size (width, height). OpenCV takes four channels at a time; CMYK and a measure are five."""
    parts = [x[:, :, at : at + 4] for at in range(0, x.shape[2], 4)]
    return np.concatenate([_channels(cv2.resize(part, size, interpolation=how)) for part in parts], axis=2)


def _channels(x: NDArray[np.generic]) -> Floats:
    """OpenCV drops a channel axis of one."""
    return np.asarray(x if x.ndim == 3 else x[:, :, None], np.float32)
