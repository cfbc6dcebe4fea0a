"""Tone: the network's fill brought to the tone of what surrounds the hole, which it misses by some levels.

What the network misses at the hole's border is carried over the hole by a membrane and added to the fill. This is done
at the network's own size, where it also draws the known pixels next to the hole, so that the mismatch is known exactly;
and once more across the border at the photo's size, where a crop was filled smaller and enlarged.
"""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole, border_of
from lgnet_cli.imaging.picture import Bytes8

from .membrane import Floats, blurred_known, harmonic, resized

TRUST = 0.6
"""How much of the network's detail is kept, the rest being the membrane through the border's own colours. Shrinking an
uncertain guess lowers its error: on validation photos at 256 x 256, 0.6 gave 0.02 dB more than 0.8, and 0.05 more
than 1."""

ACROSS = 1.5
"""Sigma of what is compared across the border, in pixels of the network; times the factor of enlargement."""


def toned(image: Bytes8, hole: Hole, drawn: Bytes8) -> Floats:
    """The network's fill with the tone of the hole's border.

    Args:
        image: (H, W, 3) uint8 RGB, what the network got.
        hole: (H, W) bool.
        drawn: (H, W, 3) uint8 RGB, what the network drew, in the hole and on its border: see `imaging.masks`.

    Returns:
        (H, W, 3) float32: `image` where it is known, the toned fill in the hole; not clipped.
    """
    result = image.astype(np.float32)
    border = border_of(hole)  # that alone: elsewhere nothing was drawn
    if not border.any():
        return drawn.astype(np.float32) if hole.any() else result
    box = boxed(hole, 1)
    inside, detail = hole[box], TRUST * drawn[box].astype(np.float32)
    fill = detail + harmonic(result[box] - detail, border[box])
    np.copyto(result[box], fill, where=inside[:, :, None])
    return result


def matched(image: Floats, hole: Hole, fill: Floats, scale: float) -> Floats:
    """An enlarged fill with the tone of the pixels across the hole's border.

    Args:
        image: (H, W, C), the photo around the hole.
        hole: (H, W) bool.
        fill: (H, W, C), right in the hole alone.
        scale: by which the fill was enlarged.

    Returns:
        (H, W, C) float32, right in the hole alone. It is computed at a size at which the compared width is a few
        pixels, since it is smooth: so the time does not grow with the enlargement.
    """
    step = max(1, int(ACROSS * scale / 3))
    size = (-(-hole.shape[1] // step), -(-hole.shape[0] // step))
    known = (~hole).astype(np.float32)
    outside, inside = (_shrunk(values, weight, size) for values, weight in ((image, known), (fill, 1 - known)))
    sigma = max(ACROSS, ACROSS * scale / step)
    near = blurred_known(outside[0], outside[1], sigma) - blurred_known(inside[0], inside[1], sigma)
    carried = harmonic(near, border_of(outside[1] <= 0.5))
    return np.asarray(fill + resized(carried, hole.shape[::-1], cv2.INTER_LINEAR), np.float32)


def boxed(hole: Hole, margin: int) -> tuple[slice, slice]:
    """The part of a picture around all its holes, with `margin` pixels more on each side where there are any."""
    x, y, width, height = cv2.boundingRect(hole.view(np.uint8))
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def _shrunk(values: Floats, weight: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """The mean by `weight` (H, W) of what each pixel of `size` stands for, and its mean weight."""
    share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    total = resized(values * weight[:, :, None], size, cv2.INTER_AREA)
    return np.asarray(total / np.maximum(share, 1e-6)[:, :, None], np.float32), share
