"""Which holes of a photo are filled together: boxes around groups of hole pixels."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .masks import Hole
from .picture import Bytes8

Boxes = NDArray[np.int64]  # (n, 4): left, top, right, bottom in pixels, right and bottom excluded

MAX_CROPS = 32
"""Of one photo, where its holes allow: more are merged into larger ones, which are filled at less detail."""

THIN = 24
"""Pixels to the nearest known pixel, at most, in a hole that may be filled piece by piece: a scratch, a letter."""

CONTEXT = 0.5
"""Surroundings on each side of a group of holes, in sides of the group. With the 64 pixels that small groups get, the
network would see little but the hole, and fill it with the mean of all colours."""

CORNER = 1.5
"""Times THIN around a deep pixel: a little more than the diagonal, so that a thick hole's corners belong to it."""

THICK_REACH = 3 * THIN
"""Pixels around a place that decide whether a hole is thick there."""

BAND = 512
"""Rows of a photo that are looked at at a time, where what is computed of them takes several times their memory."""

OUTLINED = 1 << 12
"""Rows of hole pixels that may begin in a mask whose holes are outlined one by one: a bound of how many there are."""

LARGE = 1 << 22
"""Pixels of a photo above which memory is worth more than time."""


def groups(hole: Hole, margin: int, size: int) -> Boxes:
    """Boxes of hole pixels, one a crop; every hole, or piece of a thin one, lies wholly in at least one.

    Holes whose crops overlap go together where that costs no detail: where they fit in one crop of the network's size.
    (Joining up to twice that size, on photos of 481 x 321: 0.36 dB lost in scratches, 0.03 in objects, for 0.3 and 0.5
    of the time.) Where that gives more than MAX_CROPS crops, the size they may have is doubled until it does not.
    """
    boxes = _boxes_of_all(hole, max(size // 2, 1))
    reach = size
    while True:
        last = reach >= 2 * max(hole.shape)
        few = boxes if len(boxes) <= MAX_CROPS else _binned(boxes, max(reach // 2, 1))
        merged = _merged(few, margin, reach, len(boxes) if last else MAX_CROPS)
        if merged is not None:
            return merged
        reach *= 2


def _boxes_of_all(hole: Hole, cell: int) -> Boxes:
    """The bounding box of every connected hole; of a long thin one, such as a scratch, those of its pieces.

    Looks only at the part of the photo that has holes.
    """
    x, y, width, height = cv2.boundingRect(hole.view(np.uint8))
    few = _outlined(hole[y : y + height, x : x + width])
    if few is not None and ((few[:, 2:] - few[:, :2]) <= cell).all():
        return np.asarray(few + np.array([x, y, x, y]), np.int64)
    boxes = _boxes(hole[y : y + height, x : x + width], cell)
    return np.asarray(boxes + np.array([x, y, x, y]), np.int64)


def _boxes(hole: Hole, cell: int) -> Boxes:
    """The bounding boxes of connected holes; of large ones, those of their thick parts and of pieces of the rest."""
    labels, stats = _components(hole)
    left, top, width, height = stats[1:, :4].T.astype(np.int64)
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    large = np.maximum(width, height) > cell
    if not large.any():
        return boxes
    thick = _thick(hole, labels, len(stats))[1:] & large
    bodies = _bodies(hole, labels, boxes[thick], np.concatenate([[False], thick])) if thick.any() else boxes[:0]
    pieces = _pieces(labels, np.concatenate([[False], large]), np.stack([left, top]), cell)
    return np.concatenate([boxes[~large], bodies, *pieces])


def _bodies(hole: Hole, labels: NDArray[Any], boxes: Boxes, wanted: Hole) -> Boxes:
    """The boxes of the thick parts of the `wanted` labels, which are taken out of `labels`: a scratch that touches an
    object is left, so that it is filled in pieces of its own and not at the object's coarse detail."""
    x, y = (boxes[:, :2].min(axis=0) - 1).clip(0)  # with a frame of what is known, which tells how thick a hole is
    right, bottom = boxes[:, 2:].max(axis=0) + 1
    part = slice(y, bottom), slice(x, right)
    thick = thick_parts(hole[part]) & wanted[labels[part]]
    labels[part][thick] = 0
    _, stats = _components(thick)
    left, top, width, height = stats[1:, :4].T.astype(np.int64)
    return np.stack([left + x, top + y, left + x + width, top + y + height], axis=1)


def thick_parts(hole: Hole) -> Hole:
    """Where holes are thick: near pixels that are more than THIN away from what is known. (H, W) bool, in bands."""
    thick = np.zeros(hole.shape, bool)
    for top in range(0, len(hole), BAND):
        start = max(top - THICK_REACH, 0)
        framed = hole[start : top + BAND + THICK_REACH].view(np.uint8)
        deep = cv2.distanceTransform(framed, cv2.DIST_L2, 3) > THIN
        if not deep.any():
            continue
        near = cv2.distanceTransform((~deep).view(np.uint8), cv2.DIST_L2, 3) <= CORNER * THIN
        band = slice(top, min(top + BAND, len(hole)))
        thick[band] = near[top - start :][:BAND] & hole[band]
    return thick


def _outlined(hole: Hole) -> Boxes | None:
    """The bounding boxes of connected holes by their outlines, in a tenth of the time of labelling; None of many."""
    bits = hole.view(np.uint8)
    most = (bits.shape[0] + 1) // 2 * ((bits.shape[1] + 1) // 2)  # of 2 x 2 pixels, no two are holes of their own
    if most > OUTLINED and _begins(bits) > OUTLINED:
        return None
    outlines, above = cv2.findContours(bits, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [cv2.boundingRect(line) for line, (*_, inside) in zip(outlines, above[0], strict=True) if inside < 0]
    left, top, width, height = np.array(outer, np.int64).T
    return np.stack([left, top, left + width, top + height], axis=1)


def _components(hole: Hole) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Connected holes: labels (H, W), 0 = known, and OpenCV's statistics of each label."""
    bits = hole.view(np.uint8)
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
        framed = hole[start : top + BAND + around].view(np.uint8)
        depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[top - start :][:BAND]
        thick[labels[top : top + BAND][depth > THIN]] = True
    thick[0] = False
    return thick


def _pieces(labels: NDArray[Any], wanted: Hole, corners: NDArray[np.int64], cell: int) -> Iterator[Boxes]:
    """Boxes of what the `wanted` labels have in each cell of a grid, label by label. One pass, a band at a time.

    The grid of each label begins at its box's corner, (2, n) left and top, so that a photo that was cut otherwise has
    the same pieces.
    """
    found, keys = [], []
    band = cell * max(BAND // cell, 1)
    for top in range(0, len(labels), band):
        part = labels[top : top + band]
        rows, columns = np.nonzero(wanted[part])
        if not rows.size:
            continue
        label = part[rows, columns].astype(np.int64)
        left, upper = corners[:, label - 1]
        key = np.stack([label, (columns - left) // cell, (rows + top - upper) // cell])
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
    corner = boxes[:, :2].min(axis=0)
    centres = ((boxes[small, :2] + boxes[small, 2:]) // 2 - corner) // cell
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
            sides = side_of(union, margin, reach)
            apart = np.abs((group[:2] + group[2:]) - (boxes[:, :2] + boxes[:, 2:])).max(axis=1)  # twice the distance
            overlaps = apart < side_of(group[None], margin, reach) + side_of(boxes, margin, reach)
            limit = np.maximum(reach, np.minimum(side_of(group[None], margin, reach), side_of(boxes, margin, reach)))
            allowed = overlaps & (sides <= limit)
            if not allowed.any():
                break
            nearest = int(np.where(allowed, sides, np.iinfo(np.int64).max).argmin())
            group, boxes = union[nearest], np.delete(boxes, nearest, axis=0)
        groups.append(group)
    return np.array(groups)


def side_of(boxes: Boxes, margin: int, least: int) -> NDArray[np.int64]:
    """The side of a square crop around each box, with surroundings of `margin` pixels or more."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    around = np.maximum(margin, np.ceil(CONTEXT * sides))
    return np.asarray(np.maximum(sides + 2 * around, least), np.int64)
