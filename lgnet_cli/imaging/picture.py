"""A decoded photo in its own channels and depth, and the 8-bit RGB that the network sees of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .extras import Extras

Kind = Literal["grey", "grey+alpha", "rgb", "rgba", "cmyk"]
Array = NDArray[Any]
Bytes8 = NDArray[np.uint8]

FULL_16_BIT = 257
"""255 * 257 = 65535: what an 8-bit value is multiplied by to mean the same in 16 bits."""


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


def to_rgb(pixels: Array, kind: Kind, into: Bytes8 | None = None) -> Bytes8:
    """Any (H, W, C) region of a picture as (H, W, 3) uint8 RGB; alpha is left out, 16 bits are rounded to 8.

    Colours are written to `into`, if that is of the region's size, and not to new memory.
    """
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + FULL_16_BIT // 2) // FULL_16_BIT).astype(np.uint8)
    if kind in ("grey", "grey+alpha"):
        return np.repeat(pixels[:, :, :1], 3, axis=2)
    if kind == "cmyk":
        light = 255 - pixels.astype(np.uint32)
        return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)
    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB  # ten times as fast as NumPy's copy
    into = into if into is not None and into.shape[:2] == pixels.shape[:2] else None
    return np.asarray(cv2.cvtColor(pixels, code, dst=into), np.uint8)


def put_holes(pixels: Array, kind: Kind, filled: Bytes8, hole: NDArray[np.bool_]) -> None:
    """Write `filled` (H, W, 3) uint8 RGB into the holes (H, W) of a region (H, W, C), in the region's own channels.

    Alpha and every known pixel stay as they are, bit for bit.
    """
    if kind in ("grey", "grey+alpha"):
        own = cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY)[:, :, None]
    elif kind == "cmyk":
        own = np.dstack([255 - filled, np.zeros_like(filled[:, :, :1])])
    else:
        own = cv2.cvtColor(filled, cv2.COLOR_RGB2BGR)
    if pixels.dtype == np.uint16:
        own = own.astype(np.uint16) * FULL_16_BIT
    if own.shape == pixels.shape:  # a twentieth of NumPy's time
        cv2.copyTo(own, hole.view(np.uint8), pixels)
    else:  # OpenCV writes into no array that skips channels
        np.copyto(pixels[:, :, : own.shape[2]], own, where=hole[:, :, None])


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
