"""Density, colours, texts, comments, IPTC and tags survive, judged by Pillow and tifffile, and by the bytes."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from lgnet_cli.errors import FileError
from lgnet_cli.imaging.extras import lost
from lgnet_cli.imaging.files import decode, encode

Maker = Callable[..., bytes]
GREY = Image.new("RGB", (64, 48), "grey")
FORMATS = ["JPEG", "PNG", "TIFF", "BMP"]
COLOURS = {
    b"gAMA": struct.pack(">I", 100_000), b"cHRM": struct.pack(">8I", *range(1, 9)), b"cICP": bytes((9, 16, 0, 1)),
    b"mDCV": bytes(range(24)), b"cLLI": struct.pack(">II", 1000, 400), b"sBIT": bytes((5, 6, 5)), b"sRGB": b"\0",
}  # fmt: skip


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def again(data: bytes, target: str) -> bytes:
    return bytes(encode(decode(data, Path("a")), target, 95))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_density_survives(fmt: str, target: str) -> None:
    data = again(saved(GREY, fmt, dpi=(300, 150)), target)
    # BMP and PNG count in whole pixels a metre: 1 of 5,906
    assert tuple(map(float, opened(data).info["dpi"])) == pytest.approx((300, 150), rel=2e-4)


@pytest.mark.parametrize("target", FORMATS)
def test_density_follows_what_is_turned(target: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = again(saved(GREY, "JPEG", dpi=(300, 150), exif=exif), target)
    assert tuple(map(float, opened(data).info["dpi"])) == pytest.approx((150, 300), rel=2e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("chunk", COLOURS)
def test_what_a_pngs_numbers_mean_survives(chunk: bytes, dtype: type, png: Maker) -> None:
    pixels: NDArray[Any] = np.full((9, 9, 3), 7, dtype)
    data = again(png(pixels, {chunk: COLOURS[chunk]}), "PNG")
    made = chunk + COLOURS[chunk]
    assert made + zlib.crc32(made).to_bytes(4, "big") in data
    assert data.index(made) < data.index(b"IDAT")


def test_texts_survive_but_for_pictures_in_them() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a photo of a cat, steps: 20", zip=True)
    info.add_itxt("Title", "Kätzchen", zip=True)
    info.add_text("Comment", "plain")
    info.add_text("thumbnail", base64.b64encode(saved(GREY, "JPEG")).decode(), zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    text = opened(again(saved(GREY, "PNG", pnginfo=info), "PNG")).text  # type: ignore[attr-defined]
    assert text == {"parameters": "a photo of a cat, steps: 20", "Title": "Kätzchen", "Comment": "plain"}


def photoshop(name: bytes, number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)


IPTC = b"\x1c\x02\x78\0\x07caption"


def jpeg_with(segments: list[tuple[int, bytes]], **options: Any) -> bytes:
    data = saved(GREY, "JPEG", **options)
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(part) + 2) + part for marker, part in segments)
    return data[:20] + made + data[20:]


def test_comments_and_iptc_survive() -> None:
    hidden = photoshop(b"\0\0", 0x40C, saved(GREY, "JPEG"))
    resources = b"Photoshop 3.0\0" + hidden + photoshop(b"\x03abc", 0x404, IPTC)
    data = jpeg_with([(0xFE, b"scanned by me"), (0xFE, b"twice"), (0xED, resources)])
    written = again(data, "JPEG")
    assert opened(written).info["comment"] == b"twice"
    assert b"scanned by me" in written
    assert opened(written).info["photoshop"] == {0x404: IPTC}
    page = tifffile.TiffFile(io.BytesIO(again(data, "TIFF"))).pages[0]
    assert page.tags[33723].value == IPTC
    assert again(again(data, "TIFF"), "JPEG").count(IPTC) == 1


TAGS = [
    (269, "s", 0, "roll 7", True), (270, "s", 0, "a street", True), (285, "s", 0, "page nine", True),
    (315, 1, 6, b"J\xc3\xb6rg\0", True), (316, "s", 0, "my computer", True),
    (40091, 1, 8, "Tit\0".encode("utf-16-le"), True),
    (33723, 7, len(IPTC), IPTC, True), (33550, "d", 3, (1.0, 1.0, 0.0), True),
    (33922, "d", 6, (0.0,) * 4 + (5.0, 6.0), True),
    (34735, "H", 4, (1, 1, 0, 1), True), (34737, "s", 0, "WGS 84|", True),
]  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiffs_own_tags_survive_as_they_are(dtype: type, order: str) -> None:
    buffer, pixels = io.BytesIO(), np.full((9, 9, 3), 7, dtype)
    tifffile.imwrite(
        buffer, pixels, photometric="rgb", byteorder=order, extratags=TAGS, metadata=None, software=False,
        resolution=(118, 118), resolutionunit="CENTIMETER",
    )  # fmt: skip
    before = tifffile.TiffFile(io.BytesIO(buffer.getvalue())).pages[0].tags
    after = tifffile.TiffFile(io.BytesIO(again(buffer.getvalue(), "TIFF"))).pages[0].tags
    for number, *_ in TAGS:
        assert (after[number].value, after[number].dtype) == (before[number].value, before[number].dtype), number
    across, inches = after["XResolution"].value
    assert (across / inches, int(after["ResolutionUnit"].value)) == (pytest.approx(118 * 2.54), 2)


def test_a_byte_typed_name_is_no_python_in_a_jpeg() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((9, 9, 3), np.uint8), photometric="rgb", extratags=TAGS, metadata=None)
    exif = opened(again(buffer.getvalue(), "JPEG")).getexif()
    assert b"b'" not in again(buffer.getvalue(), "JPEG")
    assert (exif[269], exif[316], exif[40091]) == ("roll 7", "my computer", "Tit\0".encode("utf-16-le"))


@pytest.mark.parametrize("options", [{"metadata": {"axes": "YXS"}}, {"imagej": True}, {"ome": True}])
@pytest.mark.parametrize("target", ["TIFF", "JPEG"])
def test_a_description_of_another_programs_layout_is_left_out(options: dict[str, Any], target: str) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((9, 9, 3), np.uint8), photometric="rgb", **options)
    picture = decode(buffer.getvalue(), Path("a"))
    written = bytes(encode(picture, target, 95))
    assert not any(word in written for word in (b"ImageJ", b'"shape"', b"<OME"))
    assert any("description" in note for note in picture.notes)


def test_places_do_not_survive_turning() -> None:
    buffer = io.BytesIO()
    tags = [*TAGS, (274, "H", 1, 3, True)]
    tifffile.imwrite(buffer, np.zeros((9, 9, 3), np.uint8), photometric="rgb", extratags=tags, metadata=None)
    after = tifffile.TiffFile(io.BytesIO(again(buffer.getvalue(), "TIFF"))).pages[0].tags
    assert (33922 in after, 285 in after) == (False, True)


def test_what_has_no_place_is_counted() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "plain")
    picture = decode(saved(GREY, "PNG", pnginfo=info, dpi=(300, 300)), Path("a"))
    assert lost(picture.extras, "PNG") == []
    assert lost(picture.extras, "WEBP") == ["WEBP has no place for: density",
                                            "WEBP has no place for: PNG's colour and text chunks"]  # fmt: skip


@pytest.mark.parametrize("size", [65_518, 65_519, 65_520, 65_536, 200_000])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_large_profile_takes_several_segments(size: int, mode: str) -> None:
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().ljust(size, b"\7"))
    icc[16:20] = b"RGB " if mode == "RGB" else b"CMYK"
    written = again(saved(Image.new(mode, (64, 48)), "JPEG", icc_profile=bytes(icc)), "JPEG")
    assert opened(written).info["icc_profile"] == bytes(icc)


def test_exif_that_no_jpeg_holds_is_refused_with_the_reason(png: Maker) -> None:
    value = b"x" * 70_000
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 270, 2, len(value), 26, 0) + value
    data = png(np.zeros((9, 9, 3), np.uint8), {b"eXIf": block})
    assert value in again(data, "PNG")
    with pytest.raises(FileError, match="JPEG holds no EXIF of 70,026 bytes"):
        again(data, "JPEG")
