"""Plain PNGs, which another library decodes: held to OpenCV, which decodes all others."""

import io
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lgnet_cli.errors import FileError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.png import LARGEST, SIGNATURE, decode_plain

Array = NDArray[Any]
Noise = Callable[..., Array]
Maker = Callable[..., bytes]
Chunk = tuple[bytes, bytes]

MANY = 10**12
"""Pixels; no limit."""

KINDS = {1: "grey", 3: "rgb", 4: "rgba"}
FILTERS = [
    cv2.IMWRITE_PNG_FILTER_NONE,
    cv2.IMWRITE_PNG_FILTER_SUB,
    cv2.IMWRITE_PNG_FILTER_UP,
    cv2.IMWRITE_PNG_FILTER_AVG,
    cv2.IMWRITE_PNG_FILTER_PAETH,
    cv2.IMWRITE_PNG_ALL_FILTERS,
]
PASSED_OVER: list[Chunk] = [
    (b"tEXt", b"Comment\0a mask"),
    (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
    (b"tIME", struct.pack(">HBBBBB", 2024, 1, 2, 3, 4, 5)),
    (b"gAMA", struct.pack(">I", 100_000)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    (b"sRGB", b"\0"),
    (b"sBIT", b"\5"),
]
TURNED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
"""An EXIF block that says orientation 6."""

RAW_PROFILE = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(TURNED) + 6, (b"Exif\0\0" + TURNED).hex().encode())
MATTERS: list[Chunk] = [
    (b"tRNS", b"\0\1"),
    (b"eXIf", TURNED),
    (b"iCCP", b"x\0\0" + zlib.compress(bytes(200))),
    (b"acTL", struct.pack(">II", 1, 0)),
    (b"tEXt", RAW_PROFILE),
    (b"none", b"of ours"),
]


def chunks_of(data: bytes) -> Iterator[Chunk]:
    at = len(SIGNATURE)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def joined(chunks: list[Chunk]) -> bytes:
    """A PNG of these, each with its right checksum: what is wrong inside reaches the decoder."""
    parts = (struct.pack(">I", len(held)) + n + held + struct.pack(">I", zlib.crc32(n + held)) for n, held in chunks)
    return SIGNATURE + b"".join(parts)


def written(pixels: Array, *options: int) -> bytes:
    return bytes(cv2.imencode(".png", pixels, options)[1])


def by_opencv(data: bytes) -> Array | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if pixels is None else pixels.reshape(*pixels.shape[:2], -1)


def stream_of(data: bytes) -> bytes:
    return b"".join(held for name, held in chunks_of(data) if name == b"IDAT")


def mended(data: bytes) -> bytes:
    """A PNG of the same pixels, as far as they can be inflated, in a stream with zlib's header, end and checksum."""
    raw, inflate = b"", zlib.decompressobj(-15)
    try:
        for byte in stream_of(data)[2:]:
            raw += inflate.decompress(bytes([byte]))
    except zlib.error:
        pass  # what came before it counts
    (head, size), *_ = chunks_of(data)
    width, height, bits, colours = struct.unpack(">IIBB", size[:10])
    raw = raw[: height * (1 + width * {0: 1, 2: 3, 6: 4}[colours] * bits // 8)]
    return joined([(head, size), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def taken_by(data: bytes) -> str:
    """By whom a file is taken: "both", "kornia-rs" alone, or neither of them or OpenCV alone: "not kornia-rs".

    The first two with the same pixels. Alone only where OpenCV minds what is around them in zlib's stream.
    """
    picture, expected = decode_plain(data, MANY), by_opencv(data)
    if picture is None:
        return "not kornia-rs"
    by = "kornia-rs" if expected is None else "both"
    if expected is None:
        with pytest.raises(zlib.error):  # nothing else may be wrong
            zlib.decompress(stream_of(data))
        expected = by_opencv(mended(data))
    assert expected is not None
    assert (picture.kind, picture.pixels.dtype) == (KINDS[expected.shape[2]], expected.dtype)
    np.testing.assert_array_equal(picture.pixels, expected)
    return by


@st.composite
def pictures(draw: st.DrawFn) -> Array:
    height, width, channels = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 3, 4]))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)
    return pixels if draw(st.booleans()) else pixels // 128 * 128


@given(
    pictures(),
    st.sampled_from(FILTERS),
    st.integers(0, 9),
    st.lists(st.sampled_from(PASSED_OVER), max_size=3, unique_by=lambda chunk: chunk[0]),
    st.lists(st.integers(0, 9999), max_size=9),
)
@settings(max_examples=300, deadline=None)
def test_plain_pngs_are_what_opencv_sees(
    pixels: Array, kind: int, level: int, beside: list[Chunk], cuts: list[int]
) -> None:
    data = written(pixels, cv2.IMWRITE_PNG_FILTER, kind, cv2.IMWRITE_PNG_COMPRESSION, level)
    head, *_, end = chunks_of(data)
    stream = stream_of(data)
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    idats = [(b"IDAT", stream[a:b]) for a, b in pairwise(places)]
    assert taken_by(joined([head, *beside, *idats, end])) == "both"


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "RGBA"])
def test_pillows_are_too(mode: str, noise: Noise) -> None:
    pixels = noise(1, np.uint16)[:, :, 0] if mode == "I;16" else noise(len(mode)).squeeze()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    assert taken_by(buffer.getvalue()) == "both"


@pytest.mark.parametrize("held", MATTERS, ids=lambda chunk: chunk[0].decode())
def test_what_holds_more_than_pixels_is_opencvs(held: Chunk, noise: Noise, png: Maker) -> None:
    assert decode_plain(png(noise(1), dict([held])), MANY) is None


def test_exif_and_profiles_are_kept(noise: Noise, png: Maker) -> None:
    picture = decode(png(noise(3), dict(MATTERS[1:2])), Path("p"))
    assert (picture.turned, picture.stored_size) == (6, (36, 22))
    assert decode(png(noise(1), {b"tRNS": b"\0\1"}), Path("p")).kind == "grey+alpha"


@pytest.mark.parametrize("mode", ["1", "P", "LA"])
def test_other_samples_are_opencvs(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (5, 4)).save(buffer, "PNG")
    assert decode_plain(buffer.getvalue(), MANY) is None
    assert decode(buffer.getvalue(), Path("p")).stored_size == (5, 4)


def test_interlaced_is_opencvs() -> None:
    (head, size), *rest = chunks_of(written(np.full((1, 1), 77, np.uint8)))  # one pixel lies the same way in both
    data = joined([(head, size[:-1] + b"\1"), *rest])
    assert decode_plain(data, MANY) is None
    assert decode(data, Path("p")).pixels.item() == 77


def test_more_than_max_pixels_is_refused(noise: Noise) -> None:
    data = written(noise(1))
    assert decode(data, Path("p"), 22 * 36).pixels.shape == (22, 36, 1)
    with pytest.raises(FileError, match=r"^p: claims 36 x 22 pixels; the limit is 791"):
        decode(data, Path("p"), 22 * 36 - 1)


def test_what_is_large_is_opencvs() -> None:
    """It lets other threads run meanwhile; and what a header of few bytes claims is not allocated."""
    assert decode_plain(written(np.zeros((4096, LARGEST // 4096), np.uint8)), MANY) is not None
    assert decode_plain(written(np.zeros((4097, LARGEST // 4096), np.uint8)), MANY) is None
    head, *rest = chunks_of(written(np.zeros((1, 1), np.uint8)))
    assert decode_plain(joined([(head[0], struct.pack(">II", 20_000, 20_000) + head[1][8:]), *rest]), MANY) is None


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (4, np.uint16)])
def test_every_damaged_byte_and_every_cut_is_seen(channels: int, dtype: type, noise: Noise) -> None:
    pixels = noise(channels, dtype, 3, 5)
    head, *rest = chunks_of(written(pixels))
    data = joined([head, *PASSED_OVER[:2], *rest])
    assert taken_by(data) == "both"
    flipped = [data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :] for i in range(len(data)) for bit in (1, 0x20, 255)]
    for damaged in [*flipped, *(data[:i] for i in range(len(data)))]:
        assert decode_plain(damaged, MANY) is None
        try:
            seen = decode(damaged, Path("p.png"), 10**6).pixels
        except FileError as error:
            assert str(error).startswith("p.png")  # noqa: PT017  most fail; a few of no matter need not
        else:
            np.testing.assert_array_equal(seen, pixels)


@pytest.mark.parametrize("count", [1500, pytest.param(40_000, marks=pytest.mark.slow)])
def test_wrong_chunks_with_right_checksums(count: int, noise: Noise) -> None:
    """Sizes, depths, order, number and contents. OpenCV takes, with the same pixels, whatever kornia-rs takes."""
    rng, found = random.Random(0), Counter[str]()
    for i in range(count):
        pixels = noise((1, 3, 4)[i % 3], (np.uint8, np.uint16)[i % 2], rng.randint(1, 9), rng.randint(1, 9))
        head, *rest = chunks_of(written(pixels))
        chunks = [head, *rng.sample(PASSED_OVER, 2), *rest]
        for _ in range(rng.randint(1, 2)):
            _change(chunks, rng)
        found[taken_by(joined(chunks))] += 1
    print(f"{count} PNGs, by whom they are taken: {dict(found)}")
    assert found["both"] > count / 6
    assert found["not kornia-rs"] > count / 6


def _change(chunks: list[Chunk], rng: random.Random) -> None:
    at, to = rng.randrange(len(chunks)), rng.randrange(len(chunks) + 1)
    name, held = chunks[at]
    kind = rng.choice(["remove", "repeat", "add", "edit", "resize"])
    if kind == "remove" and len(chunks) > 1:
        del chunks[at]
    elif kind == "repeat":
        chunks.insert(to, chunks[at])
    elif kind == "add":
        chunks.insert(to, rng.choice([*PASSED_OVER, *MATTERS, (b"IDAT", b""), (b"IEND", b""), (b"PLTE", bytes(9))]))
    elif kind == "edit" and held:
        place = rng.randrange(len(held))
        chunks[at] = (name, held[:place] + bytes([rng.choice([0, 1, 2, 3, 4, 8, 16, 255])]) + held[place + 1 :])
    elif kind == "resize" and name != b"IDAT":
        chunks[at] = (name, rng.choice([b"", held[:-1], held + b"\0"]))


def test_threads_see_their_own_pixels(noise: Noise) -> None:
    all_pixels = [noise(channels, dtype, 300, 400) for channels in (1, 3, 4) for dtype in (np.uint8, np.uint16)]
    files = [written(pixels) for pixels in all_pixels] * 10
    with ThreadPoolExecutor(4) as pool:
        for seen, pixels in zip(pool.map(lambda data: decode_plain(data, MANY), files), all_pixels * 10, strict=True):
            assert seen is not None
            np.testing.assert_array_equal(seen.pixels, pixels)


def test_what_would_take_minutes_to_read_is_refused() -> None:
    """With EXIF, so that kornia-rs leaves it to Pillow and OpenCV, which would inflate and list all of it."""
    head, pixels, end = chunks_of(written(np.zeros((1, 1), np.uint8)))
    exif = (b"eXIf", TURNED)
    assert decode(joined([head, exif, pixels, end]), Path("p")).pixels.size == 1
    with pytest.raises(FileError, match=r"^p: damaged; it holds 19\d,\d{3} bytes for 1 x 1 pixels"):
        decode(joined([head, exif, (b"IDAT", zlib.compress(bytes(200_000_000))), end]), Path("p"))
    with pytest.raises(FileError, match=r"^p: damaged; it has more than 10,000 chunks beside its pixels"):
        decode(joined([head, exif, *[(b"tEXt", b"a\0b")] * 10_001, pixels, end]), Path("p"))


def test_pixels_that_do_not_compress_are_read(noise: Noise) -> None:
    """Of 16 bits, each row a chunk of its own, stored as they are: no real file has more bytes for its pixels."""
    written_so = written(noise(4, np.uint16), cv2.IMWRITE_PNG_COMPRESSION, 0)
    (head, *_), stream = chunks_of(written_so), stream_of(written_so)
    parts = [(b"IDAT", stream[at : at + 7]) for at in range(0, len(stream), 7)]
    assert decode(joined([head, (b"eXIf", TURNED), *parts, (b"IEND", b"")]), Path("p")).turned == 6
