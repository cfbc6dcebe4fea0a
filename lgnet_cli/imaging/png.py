"""PNGs that hold pixels and nothing else that matters, by kornia-rs: two to nine times as fast as OpenCV.

A mask is such a file nearly always. What has a profile, EXIF, a palette or any chunk that is not listed here, and what
kornia-rs does not take, is OpenCV's, which so stays the judge of what is damaged. Beneath PNG's checksums, which both
check, zlib has its own at the end of the pixels: kornia-rs does not look at it, and OpenCV refuses some that are wrong.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from kornia_rs import io as kornia

from lgnet_cli.errors import FileError

from .picture import Array, Kind, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"

BEGINNING = SIGNATURE + b"\0\0\0\x0dIHDR"
"""Of every PNG: the header comes first, with 13 bytes."""

BESIDE_PIXELS = {b"pHYs", b"tEXt", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
"""Chunks that OpenCV passes over too, whatever is in them but for METADATA."""

METADATA = (b"Raw profile type", b"XML:com.adobe.xmp")
"""What a text begins with in which OpenCV looks for EXIF or XMP."""

MODES: dict[int, tuple[str, Kind, int]] = {0: ("mono", "grey", 1), 2: ("rgb", "rgb", 3), 6: ("rgba", "rgba", 4)}
"""PNG's colour type: kornia's name, ours, and samples a pixel."""

LARGEST = 1 << 24
"""Bytes of a file, and of its pixels. kornia-rs keeps the interpreter while it decodes: a photo of so many for 40 ms,
but one of 108 megapixels for 0.6 s, in which no other thread would run, nor Ctrl-C be seen."""

MOST_CHUNKS = 10_000
"""Beside those of pixels; photos have a dozen. Pillow reads ten thousand in a second."""

MOST_BYTES = 8
"""Of a pixel: four samples of 16 bits."""

SPARE = 1 << 16
"""Bytes of compressed pixels that even one pixel may have: they can become a thousand times as many."""

LONGEST = 1_000_000
"""Pixels a side; OpenCV reads and writes no PNG with more."""


def decode_plain(data: bytes, max_pixels: int) -> Picture | None:
    """A plain PNG's picture; None for any other file, for more than `max_pixels`, and where kornia-rs finds damage."""
    if not _is_plain(data):
        return None
    width, height, bits = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), data[24]
    mode, kind, samples = MODES[data[25]]
    if width * height > max_pixels or width * height * samples * bits // 8 > LARGEST or max(width, height) > LONGEST:
        return None
    decode = kornia.decode_image_png_u8 if bits == 8 else kornia.decode_image_png_u16
    try:
        pixels: Array = np.asarray(decode(data, (height, width), mode))
    except Exception:  # a bare one, with what the decoder in Rust says
        return None
    if kind != "grey":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if kind == "rgb" else cv2.COLOR_RGBA2BGRA)
    return Picture(pixels, kind, "PNG", lossless=True, exif=b"", icc=b"")


def _is_plain(data: bytes) -> bool:
    """Whether it is a PNG of 8 or 16 bits a sample, not interlaced, whole, with no chunk but those passed over."""
    if data[:16] != BEGINNING or not 33 <= len(data) <= LARGEST:
        return False
    bits, colours, *others = data[24:29]  # ways to compress, to filter and to interlace: 0 is PNG's own, and not at all
    if bits not in (8, 16) or colours not in MODES or any(others):
        return False
    runs: list[bytes] = []  # names of chunks, those of one name in a row counted once
    for name, start, end in _chunks(data):
        known = name in BESIDE_PIXELS or name in (b"IDAT", b"IEND") or start == len(SIGNATURE)
        if end > len(data) or not known or not (name == b"IDAT" or _is_harmless(data[start + 4 : end])):
            return False  # of IDAT, kornia-rs sees to the checksum
        if runs[-1:] != [name]:
            runs.append(name)
    return runs[-1] == b"IEND" and runs.count(b"IDAT") == 1  # kornia-rs would look at the first run alone


def _is_harmless(chunk: bytes) -> bool:
    """Whether a chunk, from its name to its checksum, is undamaged and holds no metadata."""
    return zlib.crc32(chunk[:-4]).to_bytes(4, "big") == chunk[-4:] and not chunk[4:].startswith(METADATA)


def check_chunks(data: bytes, path: Path) -> None:
    """Look over a file before a library does; nothing of one that is no PNG.

    Raises:
        FileError: a chunk claims more bytes than there are: OpenCV would allocate the claim, up to 4 GiB. Or there are
            so many chunks, or so much more than the pixels take, that reading it all would take minutes.
    """
    if data[:16] != BEGINNING or len(data) < 33:
        return
    others, pixels = 0, 0  # chunks; bytes
    for name, start, end in _chunks(data):
        if end > len(data):
            raise FileError(f"{path}: damaged or cut off; its chunks reach over its end")
        others, pixels = (others, pixels + end - start) if name == b"IDAT" else (others + 1, pixels)
        if others > MOST_CHUNKS:
            raise FileError(f"{path}: damaged; it has more than {MOST_CHUNKS:,} chunks beside its pixels")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if pixels > 2 * height * (MOST_BYTES * width + 1) + SPARE:  # a byte more a row; twice, for who compresses badly
        raise FileError(f"{path}: damaged; it holds {pixels:,} bytes for {width} x {height} pixels")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of every chunk up to IEND: its length, its name, what it holds and a checksum."""
    name, end = b"", len(SIGNATURE)
    while name != b"IEND" and end + 8 <= len(data):
        start, length, name = end, int.from_bytes(data[end : end + 4], "big"), data[end + 4 : end + 8]
        end += 12 + length
        yield name, start, end
