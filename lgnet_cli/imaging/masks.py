"""Masks from files: which pixels are holes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.errors import MaskError
from lgnet_cli.spec import HOLE

from . import labels
from .exif import says_orientation
from .files import decode
from .header import MAX_PIXELS
from .picture import Bytes8, Picture, to_rgb, upright
from .reading import file_limit, read_whole

Hole = NDArray[np.bool_]

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


READ_OTHERWISE = (
    "if all that is not black is a hole: --mask-values auto; if a label or a colour is: --mask-values 3, or "
    "--mask-values '#ff0000'; if it is a matter of brightness: --mask-threshold"
)
"""Said of a mask that fills nothing."""

DOUBT = (
    "EXIF turns this photo, and whether its mask was drawn on it as shown or as stored, its size does not tell; it is "
    "taken as shown; if that is wrong: --mask-drawn-on stored"
)
"""A note."""


@dataclass(frozen=True)
class MaskOptions:
    """How mask files are read."""

    polarity: Literal["white-hole", "black-hole"] = "white-hole"  # which side of the threshold is to be filled
    threshold: int = 128  # 1 to 255; a value of at least this is white
    source: Literal["luminance", "alpha"] = "luminance"  # for alpha, transparent is white
    dilate: int = 0  # pixels by which every hole grows on all sides
    resize: bool = False  # bring a mask of another size to the image's, nearest neighbour
    values: str = ""  # which pixels are white, instead of `threshold`: see `labels`
    drawn_on: Literal["auto", "shown", "stored"] = "auto"  # the photo as viewers show it, or its pixels as stored


def read_mask(
    path: Path, image: Picture, options: MaskOptions, max_pixels: int = MAX_PIXELS, photo: bytes | None = None
) -> Hole:
    """The holes of `image`, (H, W) bool.

    A mask is turned upright by its own EXIF orientation. One that has none is turned as the image was if it was drawn
    on the image's pixels as stored: if `options` say so, or, by itself, if its size is that of those pixels and not of
    the image as shown. Where both have one size it is taken as drawn on the image as shown, with a note in `image`.

    Args:
        path: the mask file.
        image: the upright photo.
        options: see MaskOptions.
        max_pixels: a mask that claims more is refused before they are allocated.
        photo: the bytes of the image's file, if a mask that is the photo itself, byte for byte, is to be refused.

    Raises:
        FileError: the mask cannot be read.
        MaskError: it has another size than the image, says nothing in the channel asked for, has marks of which none is
            a hole, or is the photo itself.
    """
    data = read_whole(path, file_limit(max_pixels))
    if data == photo and options.source != "alpha":
        raise MaskError(
            f"{path}: is the photo itself", mend="if its transparent pixels are the holes: --mask-from alpha"
        )
    mask = decode(data, path, max_pixels)
    white = labels.marked(mask, data, path, options.values) if options.values else _white(mask, path, options)
    del data
    if not (white if options.polarity == "white-hole" else ~white).any() and _has_marks(mask, options):
        raise MaskError(f"{path}: has marks, but no hole", mend=READ_OTHERWISE)
    size = (image.width, image.height)
    if _is_turned(mask, image, options):
        white = upright(white, image.turned)
    if size != white.shape[::-1]:
        white = _resized(white, size, path, options)
    hole = white if options.polarity == "white-hole" else ~white
    return dilated(hole, options.dilate)


def _is_turned(mask: Picture, image: Picture, options: MaskOptions) -> bool:
    """Whether a mask has to be turned as its image was."""
    if image.turned == 1 or options.drawn_on == "shown" or says_orientation(mask.exif):
        return False
    if options.drawn_on == "stored":
        return True
    if image.stored_size != (image.width, image.height):
        return (mask.width, mask.height) == image.stored_size
    image.notes += (DOUBT,)
    return False


def _has_marks(mask: Picture, options: MaskOptions) -> bool:
    """Whether its pixels differ in the channels that are asked."""
    with_alpha = mask.kind in ("grey+alpha", "rgba")
    pixels = mask.pixels[:, :, -1:] if options.source == "alpha" else mask.pixels[:, :, : -1 if with_alpha else None]
    return bool((pixels != pixels[0, 0]).any())


def dilated(hole: Hole, radius: int) -> Hole:
    """Holes grown by a disc of `radius` pixels."""
    if not radius:
        return hole
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(hole.astype(np.uint8), disc).astype(bool)


def border_of(hole: Hole) -> Hole:
    """The known pixels that touch a hole along an edge: (H, W) bool -> (H, W) bool."""
    return (cv2.dilate(hole.view(np.uint8), CROSS) > 0) & ~hole


def as_bytes(hole: Hole, into: Bytes8 | None = None) -> Bytes8:
    """(H, W) bool as engines take it: uint8, 255 = hole; in `into`, or new memory."""
    return np.multiply(hole.view(np.uint8), np.uint8(HOLE), out=into)


def _white(mask: Picture, path: Path, options: MaskOptions) -> Hole:
    alpha = (
        to_rgb(mask.pixels[:, :, -1:], "grey")[:, :, 0]
        if mask.kind in ("grey+alpha", "rgba") and not mask.extra
        else None
    )
    if options.source == "alpha":
        if alpha is None:
            raise MaskError(f"{path}: has no alpha channel", mend="leave out --mask-from alpha")
        return alpha < options.threshold
    luminance = _luminance(mask)
    if alpha is not None and luminance.min() == luminance.max() and alpha.min() != alpha.max():
        raise MaskError(
            f"{path}: one colour everywhere, only its alpha channel varies",
            mend="if transparent means hole, as editors export it: --mask-from alpha",
        )
    return np.asarray(luminance >= options.threshold)


def _luminance(mask: Picture) -> Bytes8:
    """(H, W) uint8. A grey mask's own values, for which colours would take four times its memory."""
    if mask.kind == "grey" and mask.pixels.dtype == np.uint8:
        return np.asarray(mask.pixels[:, :, 0])
    return np.asarray(cv2.cvtColor(to_rgb(mask.pixels, mask.kind), cv2.COLOR_RGB2GRAY), np.uint8)


def _resized(white: Hole, size: tuple[int, int], path: Path, options: MaskOptions) -> Hole:
    if not options.resize:
        raise MaskError(
            f"{path}: is {white.shape[1]} x {white.shape[0]}, its image {size[0]} x {size[1]}",
            mend="to stretch masks to their images (nearest neighbour): --resize-masks",
        )
    return cv2.resize(white.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
