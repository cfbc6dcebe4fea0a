"""Texture for holes so large that their surroundings are searched at a smaller size.

What is found there says where to copy from. The copies themselves are made at the photo's own size, in bands of rows,
so that memory does not grow with the hole.
"""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import COLOURS, Picture, Span, put_levels, span_of, to_levels

from .compose import Match
from .exemplar import match

SEARCHED = 2_000_000
"""Pixels of the smaller window, at most."""

BAND = 256
"""Rows that are copied at a time."""

Part = tuple[slice, slice]


def fill_large(picture: Picture, left: Hole, window: Part, box: Part, piece: Hole, seed: int) -> None:
    """Fill a piece of hole from the window around it, if there is anything to copy.

    Args:
        picture: the photo, with the network's fill in its holes; changed in place.
        left: (H, W) bool, the holes of the photo that are no sources: not refined yet, this one among them.
        window: the part of the photo that is copied from.
        box: the part of the photo that holds the piece.
        piece: (h, w) bool, the hole in `box`.
        seed: see `exemplar.match`.
    """
    scale, area = 2, (window[0].stop - window[0].start) * (window[1].stop - window[1].start)
    while area > SEARCHED * scale**2:
        scale *= 2
    window = _trimmed(window[0], box[0], scale), _trimmed(window[1], box[1], scale)
    pixels = picture.pixels[window]
    height, width = pixels.shape[:2]
    span = span_of(pixels, picture.kind, ~left[window])
    inside = np.zeros((height, width), np.uint8)
    top, start = box[0].start - window[0].start, box[1].start - window[1].start
    end = min(top + len(piece), height), min(start + piece.shape[1], width)
    inside[top : end[0], start : end[1]] = piece[: end[0] - top, : end[1] - start]
    unknown, hole = _share(left[window].view(np.uint8), scale), _share(inside, scale) > 0
    colours = np.ascontiguousarray(pixels[:, :, : COLOURS[picture.kind]])
    size = (width // scale, height // scale)
    small = cv2.resize(colours, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
    found = match(to_levels(small, picture.kind, span), hole, (unknown == 0) & ~hole, seed=seed)
    if found is not None:
        for row in range(top, end[0], BAND):
            band = slice(row, min(row + BAND, end[0])), slice(start, end[1])
            _copy(picture, pixels, found, band, scale, inside[band] > 0, span)


def _trimmed(side: slice, hole: slice, scale: int) -> slice:
    """A side of the window as a multiple of `scale`, cut off at the end that is farther from the hole."""
    extra = (side.stop - side.start) % scale
    before = extra if hole.start - side.start >= max(extra, side.stop - hole.stop) else 0
    return slice(side.start + before, side.stop - (extra - before))


def _share(marks: np.ndarray, scale: int) -> np.ndarray:
    """How much of each pixel of the smaller window is marked, 0 to 1."""
    size = (marks.shape[1] // scale, marks.shape[0] // scale)
    return np.asarray(cv2.resize(marks.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _copy(picture: Picture, pixels: np.ndarray, found: Match, band: Part, scale: int, hole: Hole, span: Span) -> None:
    """Fill a band of the window."""
    rows, columns = found.source_of(band, scale)
    height, width = pixels.shape[:2]
    copied = to_levels(pixels[rows.clip(0, height - 1), columns.clip(0, width - 1)], picture.kind, span)
    put_levels(pixels[band], picture.kind, found.enlarged(band, scale, copied), hole, span)
