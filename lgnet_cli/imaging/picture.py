"""A decoded photo in its own channels and depth, and the 8-bit RGB that the network sees of it."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .extras import Extras

Kind = Literal["grey", "grey+alpha", "rgb", "rgba", "cmyk"]
Array = NDArray[Any]
Bytes8 = NDArray[np.uint8]

Floats = NDArray[np.float32]

FULL_16_BIT = 257
"""255 * 257 = 65535: what an 8-bit value is multiplied by to mean the same in 16 bits."""

COLOURS: dict[Kind, int] = {"grey": 1, "grey+alpha": 1, "rgb": 3, "rgba": 3, "cmyk": 4}
"""Channels that are filled; alpha, the last of some kinds, is not."""

NARROW = 0.5
"""The share of 16 bits that the values of a region must span, or they are stretched: a depth map of 60 to 846 would be
three shades in 8 bits."""


class Span(NamedTuple):
    """The values of a picture that become the levels 0 and 255."""

    low: int
    high: int

    @property
    def step(self) -> float:
        """Levels of 255 that one step of the picture's own depth makes."""
        return 255 / (self.high - self.low)


WHOLE_8_BIT, WHOLE_16_BIT = Span(0, 255), Span(0, 65535)


@dataclass
class Picture:
    """A photo, upright, and what must survive around its pixels."""

    pixels: Array  # (H, W, C) uint8 or uint16; colours in OpenCV's order: BGR, BGRA; CMYK with 0 = no ink
    kind: Kind
    format: str  # JPEG, PNG, WEBP, TIFF or BMP
    lossless: bool  # the file kept every pixel; false for JPEG and ordinary WebP
    exif: bytes  # TIFF-structured block without a prefix, orientation reset, no pictures in it; b"" if none
    icc: bytes  # colour profile; b"" if none
    turned: int = 1  # EXIF orientation, 1 to 8, that was applied to bring the pixels upright
    extra: bool = False  # the last channel of rgba is not alpha, but one of which TIFF does not say what it means
    extras: Extras = field(default_factory=Extras)  # what else the file says
    notes: tuple[str, ...] = ()  # what could not be kept of the file, for the report

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) of the pixels in the file, before they were turned upright."""
        return (self.height, self.width) if self.turned >= 5 else (self.width, self.height)


def to_rgb(pixels: Array, kind: Kind, into: Bytes8 | None = None, span: Span | None = None) -> Bytes8:
    """Any (H, W, C) region of a picture as (H, W, 3) uint8 RGB; alpha is left out, 16 bits are rounded to 8.

    Colours are written to `into`, if that is of the region's size, and not to new memory. Values of 16 bits are those
    of `span`, or of the whole depth if None.
    """
    if pixels.dtype == np.uint16 and span and span != WHOLE_16_BIT:
        pixels = np.rint((pixels.astype(np.float32) - span.low) * span.step).clip(0, 255).astype(np.uint8)
    elif pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + FULL_16_BIT // 2) // FULL_16_BIT).astype(np.uint8)
    if kind in ("grey", "grey+alpha"):
        return np.repeat(pixels[:, :, :1], 3, axis=2)
    if kind == "cmyk":
        light = 255 - pixels.astype(np.uint32)
        return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)
    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB  # ten times as fast as NumPy's copy
    into = into if into is not None and into.shape[:2] == pixels.shape[:2] else None
    return np.asarray(cv2.cvtColor(pixels, code, dst=into), np.uint8)


def span_of(pixels: Array, kind: Kind, known: NDArray[np.bool_]) -> Span:
    """The values of a region (H, W, C) that are to become 0 and 255: all of its depth, or what is known if narrow."""
    if pixels.dtype == np.uint8:
        return WHOLE_8_BIT
    values = pixels[:, :, : COLOURS[kind]][known]
    if not values.size or int(values.max()) - int(values.min()) > NARROW * WHOLE_16_BIT.high:
        return WHOLE_16_BIT
    low = int(values.min())
    return Span(low, max(int(values.max()), low + 1))


def to_levels(pixels: Array, kind: Kind, span: Span) -> Floats:
    """A region (H, W, C) as levels of 0 to 255 in its own channels without alpha: (H, W, COLOURS) float32."""
    levels = pixels[:, :, : COLOURS[kind]].astype(np.float32)
    return levels if span == WHOLE_8_BIT else (levels - np.float32(span.low)) * np.float32(span.step)


def own_levels(filled: Bytes8 | Floats, kind: Kind) -> Floats:
    """Levels of RGB, (H, W, 3), as levels in the channels of `kind`: (H, W, COLOURS) float32. CMYK gets no black."""
    if kind in ("grey", "grey+alpha"):
        return np.asarray(cv2.cvtColor(filled.astype(np.float32), cv2.COLOR_RGB2GRAY)[:, :, None], np.float32)
    if kind == "cmyk":
        return np.dstack([255 - filled.astype(np.float32), np.zeros(filled.shape[:2], np.float32)])
    return filled[:, :, ::-1].astype(np.float32)


def put_levels(pixels: Array, kind: Kind, levels: Floats, hole: NDArray[np.bool_], span: Span) -> None:
    """Write levels (H, W, COLOURS) into the holes (H, W) of a region (H, W, C), rounded to its depth.

    Alpha and every known pixel stay as they are, bit for bit.
    """
    own = levels if span == WHOLE_8_BIT else levels / np.float32(span.step) + np.float32(span.low)
    own = np.rint(own).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    if own.shape == pixels.shape:  # a twentieth of NumPy's time
        cv2.copyTo(own, hole.view(np.uint8), pixels)
    else:  # OpenCV writes into no array that skips channels
        np.copyto(pixels[:, :, : own.shape[2]], own, where=hole[:, :, None])


def put_holes(pixels: Array, kind: Kind, filled: Bytes8, hole: NDArray[np.bool_], span: Span | None = None) -> None:
    """Write `filled` (H, W, 3) uint8 RGB into the holes (H, W) of a region (H, W, C), in the region's own channels.

    Alpha and every known pixel stay as they are, bit for bit. `span` is that with which `to_rgb` was called.
    """
    if pixels.dtype == np.uint8 and kind == "rgb":  # a third of the time of floats
        cv2.copyTo(cv2.cvtColor(filled, cv2.COLOR_RGB2BGR), hole.view(np.uint8), pixels)
        return
    whole = WHOLE_8_BIT if pixels.dtype == np.uint8 else WHOLE_16_BIT
    put_levels(pixels, kind, own_levels(filled, kind), hole, span or whole)


def upright(pixels: Array, orientation: int) -> Array:
    """`pixels` (H, W, ...) turned as EXIF's orientation 1 to 8 says; (W, H, ...) for 5 to 8. Contiguous."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    turned = np.ascontiguousarray(pixels)
    return turned.reshape(-1).reshape(turned.shape)  # one pixel wide, it may have strides that OpenCV refuses


def swapped(pixels: Array, kind: Kind) -> Array:
    """RGB <-> BGR and RGBA <-> BGRA, as a copy; other kinds as they are."""
    return pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]] if kind in ("rgb", "rgba") else pixels
