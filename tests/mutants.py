"""Damaged image files of every format: the same ones for the same seed."""

import io
import random
from collections.abc import Iterator

import cv2
import numpy as np
import tifffile
from PIL import Image

KINDS = 17  # ways to store a picture, below


def healthy() -> dict[str, bytes]:
    """{suffixed name: file} in every format and the variants that other code decodes."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 50, 4), dtype=np.uint8))
    rgb, exif = noise.convert("RGB"), Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9003] = "Maker", 6, "2024:01:01 10:00:00"
    deep = rng.integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    return {
        "exif.jpg": _saved(rgb, "JPEG", exif=exif),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "rgba.png": _saved(noise, "PNG", exif=exif),
        "palette.png": _saved(rgb.quantize(64), "PNG"),
        "bit.png": _saved(rgb.convert("1"), "PNG"),
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "lossless.webp": _saved(noise, "WEBP", lossless=True, exif=exif),
        "lossy.webp": _saved(rgb, "WEBP"),
        "plain.tif": _saved(rgb, "TIFF", exif=exif),
        "zip.tif": _saved(noise, "TIFF", compression="tiff_adobe_deflate"),
        "lzw.tif": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _saved(rgb, "TIFF", compression="jpeg"),
        "fax.tif": _saved(rgb.convert("1"), "TIFF", compression="group4"),
        "deep.tif": _deep_tiff(deep),
        "rgb.bmp": _saved(rgb, "BMP"),
        "palette.bmp": _saved(rgb.quantize(16), "BMP"),
    }


def mutants(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` of (name, file), each damaged in one way."""
    rng = random.Random(seed)
    files = list(healthy().items())
    for i in range(count):
        name, data = files[i % len(files)]
        stem, _, suffix = name.rpartition(".")
        if rng.random() < 0.05:
            suffix = rng.choice(["jpg", "png", "webp", "tif", "bmp"])
        yield f"{i:05}-{stem}.{suffix}", _damaged(bytearray(data), rng)


def _damaged(data: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    kind = rng.choice(["cut", "empty", "flip", "flip", "zero", "absurd", "absurd", "insert", "move"])
    if kind == "cut":
        return bytes(data[:at])
    if kind == "empty":
        return b"" if rng.random() < 0.3 else bytes(len(data))
    if kind == "flip":
        for _ in range(rng.choice([1, 1, 2, 8, 64])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if kind == "zero":
        length = min(rng.choice([1, 4, 16, 256]), len(data) - at)
        data[at : at + length] = bytes(length)
    if kind == "absurd":  # where sizes, counts and offsets are
        at = rng.randrange(min(len(data), 200))
        data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"])
    if kind == "insert":
        data[at:at] = rng.randbytes(rng.choice([1, 4, 50]))
    if kind == "move":
        other = rng.randrange(len(data))
        data[at : at + 16] = data[other : other + 16]
    return bytes(data)


def _saved(image: Image.Image, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def _deep_tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", compression="zlib")
    return buffer.getvalue()
