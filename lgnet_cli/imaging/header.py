"""What a file says of itself before its pixels are decoded: its format and size, and whether we read its kind."""

import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
from PIL import Image

from lgnet_cli.errors import FileError

from . import jpeg
from .formats import FORMATS
from .metadata import BROKEN
from .png import check_chunks

MAX_PIXELS = 500_000_000
"""Of one image, unless told otherwise. A header that claims more is refused before memory is asked for."""

ALPHA = 2
"""What TIFF calls a channel of alpha that the colours are not multiplied with."""


@lru_cache(1)
def settle_libraries() -> None:
    """Set, in a process that decodes files, what Pillow and OpenCV share with everything in it: so once, and for all.

    The Python interface takes arrays and decodes none, so that it leaves the program around it as it is.
    """
    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked for every library, and is an error, not a warning
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot read, we report by name
    # Pillow too. warnings.catch_warnings is not made for threads.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are decoded."""

    format: str  # JPEG, PNG, WEBP, TIFF or BMP
    mode: str  # Pillow's name
    width: int  # pixels as stored
    height: int
    bits: int  # a sample, 8 or 16
    clear: int | None = None  # of a grey PNG: the shade that is transparent
    inverted: bool = False  # 16-bit TIFF whose 0 is white; OpenCV leaves it so
    extra: bool = False  # TIFF whose last channel is not alpha, but of no said meaning: infrared, say


def read_header(data: bytes, path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Raises FileError: not an image we read, several frames, samples of another kind, or too many pixels."""
    if size := jpeg.size_of(data):
        _check_size(*size, path, max_pixels)
        return Header("JPEG", "RGB", *size, bits=8)
    check_chunks(data, path)
    try:
        return _header(open_with_pillow(data, path), path, data, max_pixels)
    except BROKEN as error:  # looking for a second frame reads its header
        raise FileError(f"{path}: not a readable image") from error


def _header(image: Image.Image, path: Path, data: bytes, max_pixels: int) -> Header:
    fmt = "JPEG" if image.format == "MPO" else str(image.format)  # MPO: a JPEG followed by a second picture
    if fmt not in FORMATS:
        raise FileError(f"{path}: is {fmt} inside; lgnet reads JPEG, PNG, WebP, TIFF and BMP")
    _check_size(image.width, image.height, path, max_pixels)
    if fmt != "JPEG" and _has_several(image):
        raise FileError(f"{path}: holds several pictures; lgnet fills files of one")
    bits, mode, clear, inverted = _sample_bits(image, path), image.mode, None, False
    extra = fmt == "TIFF" and _has_extra(image, path)
    if fmt == "PNG" and data[25] == 4:
        mode = "LA"  # Pillow says RGBA of 16 bits
    elif fmt == "PNG" and data[25] == 0:
        clear = image.info.get("transparency")
    elif fmt == "TIFF" and bits == 16:
        inverted = image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
        if image.tag_v2.get(284) == 2:  # type: ignore[attr-defined]
            raise FileError(f"{path}: 16-bit TIFF with separate planes is not supported")
    return Header(fmt, mode, image.width, image.height, bits, clear, inverted, extra)


def _has_extra(image: Image.Image, path: Path) -> bool:
    """Whether a TIFF has a channel beside its colours that is not alpha; what cannot be kept is refused by name.

    Of one such channel beside red, green and blue every value is kept; libraries drop others in silence.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    colours = {2: 3, 5: int(tags.get(334) != 2 and 4), 6: 3, 8: 3}.get(tags.get(262), 1)
    beside = int(tags.get(277, 1)) - colours
    meanings = [int(meaning) for meaning in tags.get(338, ())] or [0] * beside
    if beside < 1 or meanings == [ALPHA]:
        return False
    if 1 in meanings:
        raise FileError(
            f"{path}: TIFF with premultiplied alpha is not supported", mend="save it with unassociated alpha"
        )
    if beside > 1 or tags.get(262) != 2 or tags.get(284) == 2:
        what = f"{beside} channel(s) beside its colours that are no alpha, such as infrared or spot colours"
        raise FileError(f"{path}: TIFF with {what}, is not supported", mend="save it without them")
    return True


def _check_size(width: int, height: int, path: Path, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise FileError(
            f"{path}: claims {width} x {height} pixels; the limit is {max_pixels:,}",
            mend="if the file is what it should be: --max-pixels",
        )


def _has_several(image: Image.Image) -> bool:
    """Whether there is a second frame. A TIFF's are never counted: it can hold a chain of them that takes hours."""
    if image.format != "TIFF":
        return bool(getattr(image, "n_frames", 1) > 1)
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def open_with_pillow(data: bytes, path: Path) -> Image.Image:
    """Pillow's picture, not decoded yet. Raises FileError."""
    settle_libraries()
    try:
        return Image.open(io.BytesIO(data))
    except BROKEN as error:
        raise FileError(f"{path}: is empty" if not data else f"{path}: not a readable image") from error


def _sample_bits(image: Image.Image, path: Path) -> int:
    if image.format == "TIFF":
        bits = {int(b) for b in image.tag_v2.get(258, (1,))}  # type: ignore[attr-defined]
        ink_or_two_channels = image.mode in ("CMYK", "LA") and bits == {16}
        if not bits <= {1, 8, 16} or image.tag_v2.get(339, (1,))[0] != 1 or ink_or_two_channels:  # type: ignore[attr-defined]
            raise FileError(f"{path}: TIFF of mode {image.mode} with {sorted(bits)} bits is not supported")
        return max(bits)
    return 16 if image.mode.startswith("I") else 8  # PNG of 16-bit colour says 8 here; OpenCV finds out
