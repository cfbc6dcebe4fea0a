"""What the network drew for a photo's crops, refined and put into the photo's holes.

First the network's fill of every crop, with the tone of the hole's border; then, hole by hole, plain surroundings are
carried on and texture is copied. Every step sees only what lies around its own hole, in the picture's own channels and
depth. Nothing depends on what else is filled, so a photo always comes out the same.
"""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from lgnet_cli.imaging.crops import Crop, cut, owned, part_of
from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import (
    Bytes8,
    Picture,
    own_levels,
    put_holes,
    put_levels,
    span_of,
    to_levels,
)
from lgnet_cli.spec import HOLE

from . import Refine
from .exemplar import THICK_HOLE, THIN_HOLE, fill_from_around
from .large import fill_large
from .membrane import Floats
from .plain import THIN, depth_of, fill_plain, is_plain
from .tone import matched, toned

TOGETHER = 16
"""Pixels up to which holes are near enough to be refined as one: the letters of a word."""

PLAIN_MARGIN = 48
"""Pixels around a hole that are looked at to tell whether they are plain."""

SOURCES = 0.5
"""Surroundings that texture is copied from, in sides of the hole. Wider windows let it pour in other material: at 1,
seeds into petals."""

LARGEST = 4_000_000
"""Pixels of a window that is searched at its own size; a larger one is made smaller, for memory's sake."""

FEWEST_SOURCES = 64
"""Pixels of surroundings on each side, at least."""

Part = tuple[slice, slice]


def paste(
    picture: Picture, hole: Hole, crops: Sequence[Crop], drawn: Sequence[Bytes8], refine: Refine, seed: int = 0
) -> None:
    """Fill the photo's holes with what the network drew for its crops, refined. Known pixels stay, bit for bit.

    Args:
        picture: the photo; its pixels are changed in place.
        hole: (H, W) bool, all its holes.
        crops: those of `plan`, the largest first.
        drawn: of each crop, (height, width, 3) uint8 RGB of `crop.size`: what the engine gave for `cut(...,
            border=True)`; without the border it does for `none`.
        refine: how; see `lgnet_cli.refine`.
        seed: of the grain, and of the choice among starts that fit nearly as well as the best; 0 takes the best.
    """
    for crop, its in zip(crops, drawn, strict=True):
        _put(picture, hole, crop, its, refine)
    if refine == "none":
        return
    left = hole.copy()  # holes that are not refined yet: they are no source for others
    for crop in reversed(crops):  # the finest first; where two crops hold the same hole, it had its way
        for reach in (1, TOGETHER):  # letter by letter where the surroundings are plain, then the rest of a word as one
            for box, piece in _pieces(left, hole, crop, reach):
                if _fill_plain(picture, left, box, piece, seed):
                    left[box] &= ~piece
        for box, piece in _pieces(left, hole, crop, TOGETHER) if refine == "texture" else ():
            _copy_texture(picture, left, box, piece, seed)
            left[box] &= ~piece


def _put(picture: Picture, hole: Hole, crop: Crop, drawn: Bytes8, refine: Refine) -> None:
    """Put one crop's fill into the photo, with the tone of its surroundings unless `refine` is none."""
    top, left = crop.holes[1], crop.holes[0]
    bottom, right = min(crop.holes[3], picture.height), min(crop.holes[2], picture.width)
    inside = slice(top - crop.top, bottom - crop.top), slice(left - crop.left, right - crop.left)
    box, mine = (slice(top, bottom), slice(left, right)), owned(hole, crop)[inside]
    pixels = picture.pixels[part_of(crop)]
    span = span_of(pixels, picture.kind, ~hole[part_of(crop)])
    if refine == "none":
        put_holes(picture.pixels[box], picture.kind, _rounded(_enlarged(drawn, crop, box)), mine, span)
        return
    image, mask = cut(picture, hole, crop)
    fill = toned(image, mask == HOLE, drawn)
    if crop.size == (crop.width, crop.height) and picture.kind != "cmyk":
        put_levels(picture.pixels[box], picture.kind, own_levels(fill[inside], picture.kind), mine, span)
        return
    scale = crop.width / crop.size[0]
    wide = _within(_widened(box, math.ceil(8 * scale), hole.shape), part_of(crop))
    levels = to_levels(picture.pixels[wide], picture.kind, span)
    own = own_levels(_enlarged(fill, crop, wide), picture.kind)
    own = matched(levels, hole[wide], own, scale)
    own = own[top - wide[0].start :, left - wide[1].start :][: bottom - top, : right - left]
    put_levels(picture.pixels[box], picture.kind, own, mine, span)


def _enlarged(fill: Bytes8 | Floats, crop: Crop, box: Part) -> Floats:
    """The part of a crop's fill that lies under `box` of the photo, at the photo's size. (h, w, 3) float32."""
    size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
    if crop.size == (crop.width, crop.height):
        rows, columns = (slice(s.start - at, s.stop - at) for s, at in zip(box, (crop.top, crop.left), strict=True))
        return fill[rows, columns].astype(np.float32)
    across, down = crop.size[0] / crop.width, crop.size[1] / crop.height
    x, y = box[1].start - crop.left + 0.5, box[0].start - crop.top + 0.5
    move = np.array([[across, 0, x * across - 0.5], [0, down, y * down - 0.5]])  # from the box's pixels to the fill's
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(fill.astype(np.float32), move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, np.float32)


def _rounded(fill: Floats) -> Bytes8:
    return np.rint(fill).clip(0, 255).astype(np.uint8)


def _pieces(left: Hole, hole: Hole, crop: Crop, reach: int) -> Iterator[tuple[Part, Hole]]:
    """What of a crop's own holes is left, in pieces of holes less than twice `reach` pixels from each other.

    Yields:
        The box of a piece in the photo, and the piece in it, (h, w) bool.
    """
    x, y, right, bottom = crop.holes
    inside = slice(y - crop.top, bottom - crop.top), slice(x - crop.left, right - crop.left)
    mine = owned(hole, crop)[inside]
    mine = mine & left[y : y + len(mine), x : x + mine.shape[1]]
    if not mine.any():
        return
    near = cv2.dilate(mine.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for label in range(1, count):
        at, up, width, height = stats[label, :4].tolist()
        part = slice(up, up + height), slice(at, at + width)
        piece = mine[part] & (labels[part] == label)
        rows, columns = (np.flatnonzero(piece.any(axis=axis)) for axis in (1, 0))
        tight = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        top, start = y + up + tight[0].start, x + at + tight[1].start
        piece = piece[tight]
        yield (slice(top, top + len(piece)), slice(start, start + piece.shape[1])), piece


def _fill_plain(picture: Picture, left: Hole, box: Part, piece: Hole, seed: int) -> bool:
    """Fill one piece of hole, which lies in `box` of the photo, if its surroundings are plain; whether they are."""
    levels, inside, known, window = _window(picture, left, box, piece, PLAIN_MARGIN)
    if not is_plain(levels, inside, known):
        return False
    span = span_of(picture.pixels[window], picture.kind, known)
    filled = fill_plain(levels, inside, known, seed=seed, unit=span.step)
    put_levels(picture.pixels[window], picture.kind, filled, inside, span)
    return True


def _copy_texture(picture: Picture, left: Hole, box: Part, piece: Hole, seed: int) -> None:
    """Fill one piece of hole with texture from around it, if there is any."""
    margin = max(FEWEST_SOURCES, math.ceil(SOURCES * max(piece.shape)))
    rows, columns = _widened(box, margin, left.shape)
    if (rows.stop - rows.start) * (columns.stop - columns.start) > LARGEST:
        fill_large(picture, left, (rows, columns), box, piece, seed)
        return
    levels, inside, known, window = _window(picture, left, box, piece, margin)
    effort = THIN_HOLE if depth_of(piece) <= THIN else THICK_HOLE
    filled = fill_from_around(levels, inside, known, seed=seed, effort=effort)
    if filled is not None:
        span = span_of(picture.pixels[window], picture.kind, known)
        put_levels(picture.pixels[window], picture.kind, filled, inside, span)


def _window(picture: Picture, left: Hole, box: Part, piece: Hole, margin: int) -> tuple[Floats, Hole, Hole, Part]:
    """The surroundings of a piece: their levels, where the piece is, what is known or refined, and where they lie."""
    window = _widened(box, margin, left.shape)
    known = ~left[window]
    inside = np.zeros(known.shape, bool)
    inside[box[0].start - window[0].start :, box[1].start - window[1].start :][: len(piece), : piece.shape[1]] = piece
    pixels = picture.pixels[window]
    return to_levels(pixels, picture.kind, span_of(pixels, picture.kind, known)), inside, known, window


def _within(box: Part, part: Part) -> Part:
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, part, strict=True))
    return rows, columns


def _widened(box: Part, margin: int, shape: tuple[int, ...]) -> Part:
    rows, columns = (
        slice(max(side.start - margin, 0), min(side.stop + margin, extent))
        for side, extent in zip(box, shape, strict=True)
    )
    return rows, columns
