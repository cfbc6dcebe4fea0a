"""Photos of any size through a network of one size: square crops around groups of holes, filled, and put back.

A crop larger than the network is filled smaller and enlarged. Then its holes lack the detail, and can differ a little
in tone, from the sharp pixels around; both are evened out at the rim, inside the hole. Known pixels are never touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.spec import DEFAULT_SIZE, SIZE_MULTIPLE

from .masks import Hole, as_bytes
from .picture import Bytes8, Picture, put_holes, to_rgb

Boxes = NDArray[np.int64]  # (n, 4): left, top, right, bottom in pixels, right and bottom excluded
HdMode = Literal["crop", "resize", "original"]

MARGIN = 64
"""Pixels of known surroundings around a group of holes: with a group of up to 128 pixels no crop is made smaller."""

MAX_CROPS = 32
"""Of one photo, where its holes allow: more are merged into larger ones, which are filled at less detail."""

THIN = 24
"""Pixels to the nearest known pixel, at most, in a hole that may be filled piece by piece: a scratch, a letter."""

BAND = 512
"""Rows of a photo that are looked at at a time, where what is computed of them takes several times their memory."""

LARGE = 1 << 22
"""Pixels of a photo above which memory is worth more than time."""

FEATHER = 2
"""Width of the evened-out rim, in pixels of the network's image; times the factor by which a crop is enlarged."""


@dataclass(frozen=True)
class Crop:
    """A rectangle to fill, which may reach over the photo's right and lower edge, and its holes."""

    left: int
    top: int
    width: int  # pixels of the photo; more than it has left of them are mirrored
    height: int
    size: tuple[int, int]  # (width, height) that the network gets
    holes: tuple[int, int, int, int]  # left, top, right, bottom: it fills holes in this part of the photo alone


def plan(hole: Hole, *, mode: HdMode = "crop", margin: int = MARGIN, size: int = DEFAULT_SIZE) -> list[Crop]:
    """Crops that together fill every hole, the largest first: where two hold the same hole, the finer one has its way.

    Args:
        hole: (H, W) bool.
        mode: `crop`: a square around each group of holes; `resize`: one square around the whole photo; `original`: the
            whole photo at its own size, mirrored up to multiples of 256.
        margin: pixels of surroundings around each group, for `crop`.
        size: the network's side.
    """
    height, width = hole.shape
    if not hole.any():
        return []
    everything = (0, 0, width, height)
    if mode == "original":
        wide, high = (-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (width, height))
        return [Crop(0, 0, wide, high, (wide, high), everything)]
    if mode == "resize":
        side = max(width, height, size)
        return [Crop(0, 0, side, side, (size, size), everything)]
    crops = [_square(group, hole.shape, margin, size) for group in _groups(hole, margin, size)]
    return sorted(crops, key=lambda crop: crop.width, reverse=True)


def cut(picture: Picture, hole: Hole, crop: Crop) -> tuple[Bytes8, Bytes8]:
    """What the network gets of a crop.

    Args:
        picture: the photo.
        hole: (H, W) bool, all its holes.
        crop: one of `plan`'s.

    Returns:
        ((height, width, 3) uint8 RGB, (height, width) uint8 with 255 = hole) of `crop.size`. Where it is smaller than
        the crop, a pixel is known if at least half of it is, and shows the mean of what is known of it.
    """
    pixels, under = to_rgb(picture.pixels[_part(crop)], picture.kind), hole[_part(crop)]
    right, below = crop.width - pixels.shape[1], crop.height - pixels.shape[0]
    if right or below:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT), np.uint8)
        under = cv2.copyMakeBorder(under.astype(np.uint8), 0, below, 0, right, cv2.BORDER_REFLECT).astype(bool)
    if (crop.width, crop.height) == crop.size:
        return np.ascontiguousarray(pixels), as_bytes(under)
    known = (~under).astype(np.float32)
    share = cv2.resize(known, crop.size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(pixels * known[:, :, None], crop.size, interpolation=cv2.INTER_AREA)
    means = np.rint(sums / np.maximum(share, 1e-6)[:, :, None]).clip(0, 255).astype(np.uint8)
    return means, as_bytes(share < 0.5)


def put(picture: Picture, hole: Hole, crop: Crop, filled: Bytes8) -> None:
    """Write what the network gave for a crop, (height, width, 3) uint8 RGB of `crop.size`, into the photo's holes."""
    part = picture.pixels[_part(crop)]
    h, w = part.shape[:2]
    if (crop.width, crop.height) != crop.size:
        large = cv2.resize(filled, (crop.width, crop.height), interpolation=cv2.INTER_CUBIC)
        rim = max(1, round(FEATHER * crop.width / crop.size[0]))
        filled = _evened(np.asarray(large[:h, :w], np.uint8), to_rgb(part, picture.kind), hole[_part(crop)], rim)
    left, top, right, bottom = crop.holes
    box = slice(top - crop.top, bottom - crop.top), slice(left - crop.left, right - crop.left)
    put_holes(part[box], picture.kind, filled[box], owned(hole, crop)[box])


def owned(hole: Hole, crop: Crop) -> Hole:
    """The holes that `crop` fills, (h, w) bool of the part under it: in its group's box, what ends there or is thin."""
    left, top, right, bottom = crop.holes
    around = THIN + 1  # pixels beyond the box: enough to tell how thin a hole is that reaches over its edge
    y, x = max(top - around, 0), max(left - around, 0)
    framed = hole[y : bottom + around, x : right + around].astype(np.uint8)
    box = slice(top - y, bottom - y), slice(left - x, right - x)
    result = np.zeros(hole[_part(crop)].shape, bool)
    place = result[top - crop.top : bottom - crop.top, left - crop.left : right - crop.left]
    if np.count_nonzero(framed) == np.count_nonzero(framed[box]):  # nothing near it: all its holes end in it
        place[:] = framed[box]
        return result
    count, labels = cv2.connectedComponents(framed, connectivity=8)
    inside = np.zeros(framed.shape, bool)
    inside[box] = True
    ends = np.ones(count, bool)
    ends[labels[~inside]] = False
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels[box].astype(np.intp), depth[box])
    mine = ends | (deepest <= THIN)
    mine[0] = False  # label 0 is what is known
    place[:] = mine[labels[box]]
    return result


def _part(crop: Crop) -> tuple[slice, slice]:
    """The part of a photo under a crop."""
    return slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)


def _evened(filled: Bytes8, pixels: Bytes8, hole: Hole, rim: int) -> Bytes8:
    """Carry what the enlarged fill misses at known pixels over the edge into the hole, fading out over `rim` pixels."""
    window = (2 * rim + 1, 2 * rim + 1)
    known = (~hole).astype(np.float32)
    missed = (pixels.astype(np.float32) - filled) * known[:, :, None]
    near = cv2.blur(missed, window) / np.maximum(cv2.blur(known, window), 1e-6)[:, :, None]
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.clip(1 - (depth - 1) / rim, 0, 1)[:, :, None]
    return np.rint(filled + near * weight).clip(0, 255).astype(np.uint8)


def _groups(hole: Hole, margin: int, size: int) -> Boxes:
    """Boxes of hole pixels, one a crop; every hole, or piece of a thin one, lies wholly in at least one.

    Holes whose crops overlap go together where that costs no detail: where they fit in one crop of the network's size.
    (Joining up to twice that size, on photos of 481 x 321: 0.36 dB lost in scratches, 0.03 in objects, for 0.3 and 0.5
    of the time.) Where that gives more than MAX_CROPS crops, the size they may have is doubled until it does not.
    """
    boxes = _boxes_of_all(hole, max(size // 2, 1))
    reach = size
    while True:
        last = reach >= 2 * max(hole.shape)
        merged = _merged(_binned(boxes, max(reach // 2, 1)), margin, reach, len(boxes) if last else MAX_CROPS)
        if merged is not None:
            return merged
        reach *= 2


def _boxes_of_all(hole: Hole, cell: int) -> Boxes:
    """As `_boxes`, but looks only at the part of the photo that has holes; from a corner of the grid on."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(hole).view(np.uint8))
    left, top = x // cell * cell, y // cell * cell
    boxes = _boxes(hole[top : y + height, left : x + width], cell)
    return np.asarray(boxes + np.array([left, top, left, top]), np.int64)


def _boxes(hole: Hole, cell: int) -> Boxes:
    """The bounding box of every connected hole; of a long thin one, such as a scratch, those of its pieces."""
    labels, stats = _components(hole)
    left, top, width, height = stats[1:, :4].T.astype(np.int64)
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    large = np.maximum(width, height) > cell
    if not large.any():
        return boxes
    thin = np.concatenate([[False], large]) & ~_thick(hole, labels, len(stats))
    return np.concatenate([boxes[~thin[1:]], *_pieces(labels, thin, cell)])


def _components(hole: Hole) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Connected holes: labels (H, W), 0 = known, and OpenCV's statistics of each label."""
    bits = np.ascontiguousarray(hole).view(np.uint8)
    kind = cv2.CV_16U if hole.size > LARGE and _begins(bits) < 1 << 16 else cv2.CV_32S
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bits, connectivity=8, ltype=kind)
    return labels, np.asarray(stats, np.int32)


def _begins(bits: Bytes8) -> int:
    """How many rows of hole pixels begin: no more labels are given out. 16 bits for each take half the memory."""
    bands = (bits[top : top + BAND] for top in range(0, len(bits), BAND))
    return sum(int(np.count_nonzero(band[:, 1:] > band[:, :-1]) + np.count_nonzero(band[:, 0])) for band in bands)


def _thick(hole: Hole, labels: NDArray[Any], count: int) -> Hole:
    """(count,) Which labels have a pixel more than THIN away from what is known. In bands: distances are floats."""
    thick, around = np.zeros(count, bool), 2 * THIN  # rows more than enough to tell distances up to THIN
    for top in range(0, len(hole), BAND):
        start = max(top - around, 0)
        framed = np.ascontiguousarray(hole[start : top + BAND + around]).view(np.uint8)
        depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[top - start :][:BAND]
        thick[labels[top : top + BAND][depth > THIN]] = True
    thick[0] = False
    return thick


def _pieces(labels: NDArray[Any], wanted: Hole, cell: int) -> Iterator[Boxes]:
    """Boxes of what the `wanted` labels have in each cell of a grid, label by label. One pass, a band at a time."""
    found, keys = [], []
    band = cell * max(BAND // cell, 1)
    for top in range(0, len(labels), band):
        part = labels[top : top + band]
        rows, columns = np.nonzero(wanted[part])
        if not rows.size:
            continue
        key = np.stack([part[rows, columns].astype(np.int64), columns // cell, (rows + top) // cell])
        order = np.lexsort(key[::-1])
        starts = np.flatnonzero((np.diff(key[:, order], axis=1, prepend=-1) != 0).any(axis=0))
        at = np.stack([columns, rows + top], axis=1)[order]
        ends = np.maximum.reduceat(at, starts) + 1
        found.append(np.concatenate([np.minimum.reduceat(at, starts), ends], axis=1))
        keys.append(key[:, order][:, starts])
    if found:
        yield np.concatenate(found)[np.lexsort(np.concatenate(keys, axis=1)[::-1])]


def _binned(boxes: Boxes, cell: int) -> Boxes:
    """Join boxes smaller than `cell` whose centres lie in one cell of a grid: a mask of speckles has thousands."""
    small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) <= cell
    centres = (boxes[small, :2] + boxes[small, 2:]) // 2 // cell
    rows = centres[:, 1].max(initial=0) + 1
    _, cells = np.unique(centres[:, 0] * rows + centres[:, 1], return_inverse=True)  # one number a cell sorts fast
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    inside = boxes[small][order]
    joined = np.empty((len(starts), 4), np.int64)
    if len(starts):
        joined[:, :2] = np.minimum.reduceat(inside[:, :2], starts)
        joined[:, 2:] = np.maximum.reduceat(inside[:, 2:], starts)
    return np.concatenate([boxes[~small], joined])


def _merged(boxes: Boxes, margin: int, reach: int, most: int) -> Boxes | None:
    """Join each box with the nearest whose crop overlaps its own, as long as that keeps the crop within `reach`.

    None as soon as there are more than `most`.
    """
    groups: list[NDArray[np.int64]] = []
    while len(boxes):
        if len(groups) == most:
            return None
        group, boxes = boxes[0], boxes[1:]
        while len(boxes):
            union = np.concatenate([np.minimum(group[:2], boxes[:, :2]), np.maximum(group[2:], boxes[:, 2:])], axis=1)
            sides = _side(union, margin, reach)
            apart = np.abs((group[:2] + group[2:]) - (boxes[:, :2] + boxes[:, 2:])).max(axis=1)  # twice the distance
            overlaps = apart < _side(group[None], margin, reach) + _side(boxes, margin, reach)
            limit = np.maximum(reach, np.maximum(_side(group[None], margin, reach), _side(boxes, margin, reach)))
            allowed = overlaps & (sides <= limit)
            if not allowed.any():
                break
            nearest = int(np.where(allowed, sides, np.iinfo(np.int64).max).argmin())
            group, boxes = union[nearest], np.delete(boxes, nearest, axis=0)
        groups.append(group)
    return np.array(groups)


def _side(boxes: Boxes, margin: int, least: int) -> NDArray[np.int64]:
    """The side of a square crop around each box."""
    return np.asarray(np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1) + 2 * margin, least), np.int64)


def _square(group: NDArray[np.int64], shape: tuple[int, ...], margin: int, size: int) -> Crop:
    """A square around a group, shifted to stay inside the photo where the photo is large enough."""
    height, width = shape
    side = min(int(_side(group[None], margin, size)[0]), max(width, height, size))
    left, top = ((int(group[i]) + int(group[i + 2]) - side) // 2 for i in (0, 1))
    left, top = (max(0, min(at, end - side)) for at, end in ((left, width), (top, height)))
    return Crop(left, top, side, side, (size, size), tuple(group.tolist()))
