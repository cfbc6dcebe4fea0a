"""Photos of any size through a network of one size: square crops around groups of holes.

A crop that is larger than the network is made smaller for it. `lgnet_cli.refine` puts the results back.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.spec import DEFAULT_SIZE, DRAWN, SIZE_MULTIPLE

from .groups import THICK_REACH, groups, side_of, thick_parts
from .masks import Hole, as_bytes, border_of
from .picture import Bytes8, Picture, span_of, to_rgb

HdMode = Literal["crop", "resize", "original"]

MARGIN = 64
"""Pixels of known surroundings around a group of holes, at least: with a group of up to 128 pixels no crop is made
smaller. Larger groups get more, in proportion: see `groups.CONTEXT`."""


@dataclass(frozen=True)
class Crop:
    """A rectangle to fill, which may reach over the photo's right and lower edge, and its holes."""

    left: int
    top: int
    width: int  # pixels of the photo; more than it has left of them are mirrored
    height: int
    size: tuple[int, int]  # (width, height) that the network gets
    holes: tuple[int, int, int, int]  # left, top, right, bottom: it fills holes in this part of the photo alone


def plan(
    hole: Hole, *, mode: HdMode = "crop", margin: int = MARGIN, size: int = DEFAULT_SIZE, merge: bool = False
) -> list[Crop]:
    """Crops that together fill every hole, the largest first: where two hold the same hole, the finer one has its way.

    Args:
        hole: (H, W) bool.
        mode: `crop`: a square around each group of holes; `resize`: one square around the whole photo; `original`: the
            whole photo at its own size, mirrored up to multiples of 256.
        margin: pixels of surroundings around each group at least, for `crop`.
        size: the network's side.
        merge: join all crops that overlap, for `crop`: fewer runs, filled at less detail where that makes them large.
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
    crops = [_square(group, hole.shape, margin, size) for group in groups(hole, margin, size)]
    if merge:
        crops = _joined(crops, hole.shape, margin, size)
    return sorted(crops, key=lambda crop: crop.width, reverse=True)


def cut(
    picture: Picture, hole: Hole, crop: Crop, into: tuple[Bytes8, Bytes8] | None = None, *, border: bool = False
) -> tuple[Bytes8, Bytes8]:
    """What the network gets of a crop.

    Args:
        picture: the photo.
        hole: (H, W) bool, all its holes.
        crop: one of `plan`'s.
        into: memory for the result; new if None.
        border: ask the network to draw the known pixels next to the holes too.

    Returns:
        ((height, width, 3) uint8 RGB, (height, width) uint8 with 255 = hole, 1 = known but to be drawn) of `crop.size`.
        Where it is smaller than the crop, a pixel is known if at least half of it is, and shows the mean of what is
        known of it.
    """
    image, mask = into or (np.empty((*crop.size[::-1], 3), np.uint8), np.empty(crop.size[::-1], np.uint8))
    part, under = picture.pixels[part_of(crop)], hole[part_of(crop)]
    pixels = to_rgb(part, picture.kind, image, span_of(part, picture.kind, ~under))
    right, below = crop.width - pixels.shape[1], crop.height - pixels.shape[0]
    if right or below:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT), np.uint8)
        under = cv2.copyMakeBorder(under.astype(np.uint8), 0, below, 0, right, cv2.BORDER_REFLECT).astype(bool)
    if (crop.width, crop.height) == crop.size:
        if pixels is not image:
            np.copyto(image, pixels)
    else:
        known = (~under).astype(np.float32)
        share = cv2.resize(known, crop.size, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(pixels * known[:, :, None], crop.size, interpolation=cv2.INTER_AREA)
        np.copyto(image, np.rint(sums / np.maximum(share, 1e-6)[:, :, None]).clip(0, 255), casting="unsafe")
        under = share < 0.5
    as_bytes(under, mask)
    if border:
        mask[border_of(under)] = DRAWN
    return image, mask


def owned(hole: Hole, crop: Crop) -> Hole:
    """The holes that `crop` fills, (h, w) bool of the part under it: in its group's box, what ends there or is thin."""
    left, top, right, bottom = crop.holes
    y, x = max(top - THICK_REACH, 0), max(left - THICK_REACH, 0)
    framed = hole[y : bottom + THICK_REACH, x : right + THICK_REACH]
    box = slice(top - y, bottom - y), slice(left - x, right - x)
    result = np.zeros(hole[part_of(crop)].shape, bool)
    place = result[top - crop.top : bottom - crop.top, left - crop.left : right - crop.left]
    if np.count_nonzero(framed) == np.count_nonzero(framed[box]):  # nothing near it: all its holes end in it
        place[:] = framed[box]
        return result
    thick = thick_parts(framed)
    count, labels = cv2.connectedComponents(thick.view(np.uint8), connectivity=8)
    inside = np.zeros(framed.shape, bool)
    inside[box] = True
    mine = np.ones(count, bool)
    mine[labels[~inside]] = False
    mine[0] = True  # label 0 is what is thin or known
    place[:] = (mine[labels] & framed)[box]
    return result


def part_of(crop: Crop) -> tuple[slice, slice]:
    """The part of a photo under a crop."""
    return slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)


def _joined(crops: list[Crop], shape: tuple[int, ...], margin: int, size: int) -> list[Crop]:
    """Crops of which no two overlap, for the same holes."""
    apart: list[Crop] = []
    while crops:
        crop, *crops = crops
        near = next((other for other in apart if _overlap(crop, other)), None)
        if near is None:
            apart.append(crop)
            continue
        apart.remove(near)
        corners = np.array([crop.holes, near.holes])
        both = np.concatenate([corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)])
        crops.append(_square(both, shape, margin, size))
    return apart


def _overlap(a: Crop, b: Crop) -> bool:
    beside = max(a.left, b.left) < min(a.left + a.width, b.left + b.width)
    return beside and max(a.top, b.top) < min(a.top + a.height, b.top + b.height)


def _square(group: NDArray[np.int64], shape: tuple[int, ...], margin: int, size: int) -> Crop:
    """A square around a group, shifted to stay inside the photo where the photo is large enough."""
    height, width = shape
    side = min(int(side_of(group[None], margin, size)[0]), max(width, height, size))
    left, top, right, bottom = holes = tuple(group.tolist())
    left, top = (left + right - side) // 2, (top + bottom - side) // 2
    left, top = (max(0, min(at, end - side)) for at, end in ((left, width), (top, height)))
    return Crop(left, top, side, side, (size, size), holes)
