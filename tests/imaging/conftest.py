"""Files of every kind, written by other means than the ones under test."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: PNG's number


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture(scope="session")
def noise() -> Callable[..., Array]:
    """`noise(channels, dtype, height, width)`: every value occurs, so nothing lossy goes unseen."""

    def make(channels: int, dtype: type = np.uint8, height: int = 22, width: int = 36) -> Array:
        high = np.iinfo(dtype).max + 1
        return np.random.default_rng(channels).integers(0, high, (height, width, channels), dtype=dtype)

    return make


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """`png(pixels, {chunk: data}, size)`: grey, grey+alpha, RGB or RGBA; Pillow cannot write 16 bits of colour."""

    def make(pixels: Array, chunks: dict[bytes, bytes] | None = None, size: tuple[int, int] | None = None) -> bytes:
        height, width, channels = pixels.shape
        wide, high = size or (width, height)
        rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
        head = struct.pack(">IIBBBBB", wide, high, pixels.itemsize * 8, COLOUR_TYPES[channels], 0, 0, 0)
        extra = b"".join(_chunk(kind, data) for kind, data in (chunks or {}).items())
        return SIGNATURE + _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")

    return make


def _unfiltered(kind: int, row: Array, above: Array, step: int) -> Array:
    """One row of a PNG with its filter undone, as the standard describes it."""
    out = np.zeros(row.size + step, np.int64)  # `step` zeros on the left
    up = np.concatenate([np.zeros(step, np.int64), above])
    for i in range(row.size):
        a, b, c = out[i], up[i + step], up[i]
        nearest = min((a, b, c), key=lambda value: abs(a + b - c - value))  # min takes the first of equals
        guess = (0, a, b, (a + b) // 2, nearest)[kind]
        out[i + step] = (row[i] + guess) % 256
    return out[step:]


@pytest.fixture(scope="session")
def read_png() -> Callable[[bytes], Array]:
    """`read_png(data)`: all bits of a plain PNG; the only other reader of 16-bit colour here is what is tested."""

    def read(data: bytes) -> Array:
        found: dict[bytes, bytes] = {}
        at = len(SIGNATURE)
        while at < len(data):
            (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
            found[kind] = found.get(kind, b"") + data[at + 8 : at + 8 + length]
            at += 12 + length
        width, height, bits, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
        channels = {number: count for count, number in COLOUR_TYPES.items()}[colour]
        step = channels * bits // 8
        rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, 1 + width * step)
        above, out = np.zeros(width * step, np.int64), []
        for row in rows:
            above = _unfiltered(int(row[0]), row[1:].astype(np.int64), above, step)
            out.append(above)
        return np.array(out, np.uint8).view(f">u{bits // 8}").reshape(height, width, channels)

    return read
