"""Decoding and encoding, judged by other libraries than the ones that do it."""

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
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from lgnet_cli.errors import FileError
from lgnet_cli.imaging.files import decode, encode
from lgnet_cli.imaging.picture import Picture, put_holes, swapped, to_rgb

Array = NDArray[Any]
Noise = Callable[..., Array]
Maker = Callable[..., bytes]

MAKE, DATE, ORIENTATION, EXIF_FOLDER, GPS_FOLDER = 271, 306, 274, 0x8769, 0x8825
EXIF_ENTRIES = {36867: "2020:01:02 03:04:06"}  # DateTimeOriginal
GPS_ENTRIES = {1: "N", 2: (50.0, 30.0, 1.5)}  # latitude
MODES = {"grey": "L", "grey+alpha": "LA", "rgb": "RGB", "rgba": "RGBA", "cmyk": "CMYK"}
CHANNELS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4, "cmyk": 4}
LOSSLESS_WEBP = {"lossless": True, "exact": True}
CASES = [  # format, mode it is stored in, kind it is decoded as
    ("PNG", "L", "grey"),
    ("PNG", "1", "grey"),
    ("PNG", "LA", "grey+alpha"),
    ("PNG", "RGB", "rgb"),
    ("PNG", "RGBA", "rgba"),
    ("PNG", "P", "rgb"),
    ("PNG", "P with transparency", "rgba"),
    ("WEBP", "L", "rgb"),
    ("WEBP", "RGB", "rgb"),
    ("WEBP", "RGBA", "rgba"),
    ("TIFF", "L", "grey"),
    ("TIFF", "1", "grey"),
    ("TIFF", "LA", "grey+alpha"),
    ("TIFF", "RGB", "rgb"),
    ("TIFF", "RGBA", "rgba"),
    ("TIFF", "P", "rgb"),
    ("TIFF", "CMYK", "cmyk"),
    ("BMP", "L", "grey"),
    ("BMP", "1", "grey"),
    ("BMP", "RGB", "rgb"),
    ("BMP", "P", "rgb"),
]
LOSSY = [("JPEG", "L", "grey"), ("JPEG", "RGB", "rgb"), ("JPEG", "CMYK", "cmyk"), ("WEBP", "RGB", "rgb")]
SIXTEEN_BIT = [("PNG", "grey"), ("PNG", "rgb"), ("PNG", "rgba"), ("TIFF", "grey"), ("TIFF", "rgb"), ("TIFF", "rgba")]
TURNS: dict[int, Callable[[Array], Array]] = {  # as EXIF's standard words them
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def stored(noise: Noise, mode: str) -> Image.Image:
    """A picture of random pixels in a Pillow mode, a corner of it transparent where the mode can say so."""
    if mode == "1":
        return Image.fromarray(noise(1)[:, :, 0] > 127)
    if mode.startswith("P"):
        image = Image.frombytes("P", (36, 22), noise(1).tobytes())
        image.putpalette(noise(3, height=1, width=256).tobytes())
        if "transparency" in mode:
            image.info["transparency"] = bytes(range(256))
        return image
    pixels = noise(len(mode))
    if mode.endswith("A"):
        pixels[:8, :8, -1] = 0
    return Image.frombytes(mode, (36, 22), pixels.tobytes())


def gentle(kind: str) -> Image.Image:
    """A smooth picture, which lossy formats keep well."""
    y, x = np.mgrid[:48, :64]
    pixels = np.dstack([60 + x + (channel + 1) * y for channel in range(CHANNELS[kind])]).clip(0, 255)
    return Image.frombytes(MODES[kind], (64, 48), pixels.astype(np.uint8).tobytes())


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def opened(data: bytes | memoryview) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def decoded(data: bytes, folder: Path) -> Picture:
    """Through a real file, as users' pictures come."""
    path = folder / "picture"
    path.write_bytes(data)
    return decode(path.read_bytes(), path)


def shown(picture: Picture) -> Array:
    """Its pixels in the order other libraries use."""
    return swapped(picture.pixels, picture.kind)


def seen_by_pillow(image: Image.Image, kind: str) -> Array:
    pixels = np.asarray(image.convert(MODES[kind]))
    return pixels.reshape(*pixels.shape[:2], -1)


def options_of(fmt: str) -> dict[str, Any]:
    return LOSSLESS_WEBP if fmt == "WEBP" else {}


def tiff(pixels: Array, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    grey = kind == "grey"
    alpha = ["unassalpha"] if kind == "rgba" else None
    options = {"extrasamples": alpha, "photometric": "minisblack" if grey else "rgb", "metadata": None} | options
    tifffile.imwrite(buffer, pixels[:, :, 0] if grey else pixels, **options)
    return buffer.getvalue()


def deep(fmt: str, kind: str, noise: Noise, png: Maker) -> tuple[bytes, Array]:
    """A 16-bit file and its pixels."""
    pixels = noise(CHANNELS[kind], np.uint16)
    return (png(pixels) if fmt == "PNG" else tiff(pixels, kind)), pixels


def read_deep(fmt: str, data: bytes, read_png: Callable[[bytes], Array]) -> Array:
    pixels = read_png(data) if fmt == "PNG" else tifffile.imread(io.BytesIO(data))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def exif(orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[MAKE], block[DATE], block[ORIENTATION] = "Maker", "2020:01:02 03:04:05", orientation
    block.get_ifd(EXIF_FOLDER).update(EXIF_ENTRIES)
    block.get_ifd(GPS_FOLDER).update(GPS_ENTRIES)
    return block


def with_exif(image: Image.Image, fmt: str, orientation: int = 1, **options: Any) -> bytes:
    if fmt != "TIFF":
        return saved(image, fmt, exif=exif(orientation), **options)
    entries = TiffImagePlugin.ImageFileDirectory_v2()  # Pillow writes no folders of `exif` into TIFF, but these
    entries[MAKE], entries[DATE], entries[ORIENTATION] = "Maker", "2020:01:02 03:04:05", orientation
    entries[EXIF_FOLDER], entries[GPS_FOLDER] = EXIF_ENTRIES, GPS_ENTRIES
    return saved(image, fmt, tiffinfo=entries, **options)


def profile(space: bytes = b"RGB ") -> bytes:
    """A profile that says it is of this colour space; only its header is ever looked at."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[16:20] = space
    return bytes(data)


@pytest.mark.parametrize(("fmt", "mode", "kind"), CASES)
def test_decode_shows_what_pillow_shows(fmt: str, mode: str, kind: str, noise: Noise, tmp_path: Path) -> None:
    image = stored(noise, mode)
    picture = decoded(saved(image, fmt, **options_of(fmt)), tmp_path)
    assert (picture.kind, picture.format, picture.lossless) == (kind, fmt, True)
    np.testing.assert_array_equal(shown(picture), seen_by_pillow(image, kind))


@pytest.mark.parametrize(("fmt", "mode", "kind"), CASES)
def test_lossless_formats_keep_every_pixel(fmt: str, mode: str, kind: str, noise: Noise, tmp_path: Path) -> None:
    image = stored(noise, mode)
    picture = decoded(saved(image, fmt, **options_of(fmt)), tmp_path)
    again = opened(encode(picture, fmt, 50))
    assert (again.format, again.mode) == (fmt, MODES[kind])
    np.testing.assert_array_equal(seen_by_pillow(again, kind), seen_by_pillow(image, kind))


@pytest.mark.parametrize(("fmt", "mode", "kind"), [*CASES, *LOSSY])
def test_decoded_pixels_can_be_filled(fmt: str, mode: str, kind: str, noise: Noise, tmp_path: Path) -> None:
    picture = decoded(saved(stored(noise, mode), fmt), tmp_path)
    hole = np.zeros((22, 36), bool)
    hole[3:9, 4:20] = True
    put_holes(picture.pixels, picture.kind, np.full((22, 36, 3), 200, np.uint8), hole)
    assert (to_rgb(picture.pixels, picture.kind)[hole] == 200).all()


@pytest.mark.parametrize(("fmt", "kind"), SIXTEEN_BIT)
def test_decode_keeps_16_bits(fmt: str, kind: str, noise: Noise, png: Maker, tmp_path: Path) -> None:
    data, pixels = deep(fmt, kind, noise, png)
    picture = decoded(data, tmp_path)
    assert (picture.kind, picture.pixels.dtype) == (kind, np.uint16)
    np.testing.assert_array_equal(shown(picture), pixels)


@pytest.mark.parametrize("target", ["PNG", "TIFF"])
@pytest.mark.parametrize(("fmt", "kind"), SIXTEEN_BIT)
def test_encode_keeps_16_bits(
    fmt: str, kind: str, target: str, noise: Noise, png: Maker, read_png: Callable[[bytes], Array], tmp_path: Path
) -> None:
    data, pixels = deep(fmt, kind, noise, png)
    again = read_deep(target, bytes(encode(decoded(data, tmp_path), target, 95)), read_png)
    assert again.dtype.itemsize == 2
    np.testing.assert_array_equal(again, pixels)


def test_16_bit_grey_with_alpha_stays_grey(
    noise: Noise, png: Maker, read_png: Callable[[bytes], Array], tmp_path: Path
) -> None:
    pixels = noise(2, np.uint16)
    picture = decoded(png(pixels, {b"iCCP": b"x\0\0" + zlib.compress(profile(b"GRAY"))}), tmp_path)
    assert picture.kind == "grey+alpha"
    again = read_png(bytes(encode(picture, "PNG", 95)))
    np.testing.assert_array_equal(again, pixels[:, :, [0] * (again.shape[2] - 1) + [1]])  # as grey or as equal colours


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_shade_of_grey_png_stays_transparent(dtype: type, noise: Noise, png: Maker, tmp_path: Path) -> None:
    pixels = noise(1, dtype)
    shade = int(pixels[0, 0, 0])
    picture = decoded(png(pixels, {b"tRNS": struct.pack(">H", shade)}), tmp_path)
    assert picture.kind in ("grey+alpha", "rgba")
    np.testing.assert_array_equal(picture.pixels[:, :, -1] == 0, pixels[:, :, 0] == shade)


def test_white_is_zero_tiff_is_shown_right_way_round(noise: Noise, tmp_path: Path) -> None:
    ink = noise(1, np.uint16)
    picture = decoded(tiff(ink, "grey", photometric="miniswhite"), tmp_path)
    np.testing.assert_array_equal(picture.pixels, 65535 - ink)


@pytest.mark.parametrize(("pixels", "options"), [
    ((3, 22, 36), {"planarconfig": "separate"}),
    ((22, 36, 4), {"extrasamples": ["assocalpha"]}),
])  # fmt: skip
def test_16_bit_tiff_that_cannot_be_kept_is_refused(
    pixels: tuple[int, ...], options: dict[str, Any], tmp_path: Path
) -> None:
    values = np.arange(np.prod(pixels), dtype=np.uint16).reshape(pixels)
    with pytest.raises(FileError, match="picture"):
        decoded(tiff(values, "rgb", **options), tmp_path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_of_either_byte_order(byteorder: str, compression: str | None, noise: Noise, tmp_path: Path) -> None:
    pixels = noise(3, np.uint16)
    data = tiff(pixels, "rgb", byteorder=byteorder, compression=compression)
    np.testing.assert_array_equal(shown(decoded(data, tmp_path)), pixels)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(("fmt", "kind"), [
    ("JPEG", "rgb"), ("JPEG", "grey"), ("JPEG", "cmyk"), ("PNG", "rgb"), ("PNG", "grey+alpha"), ("WEBP", "rgb"),
    ("TIFF", "rgb"), ("TIFF", "grey"), ("TIFF", "cmyk"),
])  # fmt: skip
def test_orientation_is_applied(fmt: str, kind: str, orientation: int, tmp_path: Path) -> None:
    data = with_exif(gentle(kind), fmt, orientation, **options_of(fmt))
    picture = decoded(data, tmp_path)
    wanted = seen_by_pillow(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), kind)
    # Two builds of libjpeg may round their inverse transform differently by one, and the colours after it once more.
    atol = 2 if fmt == "JPEG" else 0
    np.testing.assert_allclose(shown(picture).astype(int), wanted, rtol=0, atol=atol)
    assert (picture.turned, picture.stored_size) == (orientation, (64, 48))


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_orientation_is_applied_to_16_bits(
    fmt: str, orientation: int, noise: Noise, png: Maker, tmp_path: Path
) -> None:
    pixels = noise(3, np.uint16)
    if fmt == "PNG":
        data = png(pixels, {b"eXIf": exif(orientation).tobytes().removeprefix(b"Exif\0\0")})
    else:
        data = tiff(pixels, "rgb", extratags=[(ORIENTATION, "H", 1, orientation, True)])
    picture = decoded(data, tmp_path)
    np.testing.assert_array_equal(shown(picture), TURNS[orientation](pixels))
    assert picture.turned == orientation


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_entries_survive(fmt: str, target: str, tmp_path: Path) -> None:
    picture = decoded(with_exif(gentle("rgb"), fmt, 6), tmp_path)
    entries = opened(encode(picture, target, 95)).getexif()
    assert (entries[MAKE], entries[DATE]) == ("Maker", "2020:01:02 03:04:05")
    assert entries.get(ORIENTATION, 1) == 1  # the pixels are upright now
    assert dict(entries.get_ifd(EXIF_FOLDER)) == EXIF_ENTRIES
    assert dict(entries.get_ifd(GPS_FOLDER)) == GPS_ENTRIES


@pytest.mark.parametrize("fmt", ["JPEG", "TIFF"])
@pytest.mark.parametrize("kind", ["cmyk", "grey"])
def test_exif_entries_survive_without_colour(fmt: str, kind: str, tmp_path: Path) -> None:
    picture = decoded(with_exif(gentle(kind), fmt, 6), tmp_path)
    entries = opened(encode(picture, fmt, 95)).getexif()
    assert (entries[MAKE], entries.get(ORIENTATION, 1)) == ("Maker", 1)
    assert dict(entries.get_ifd(GPS_FOLDER)) == GPS_ENTRIES


def test_exif_survives_in_16_bit_tiff(noise: Noise, png: Maker, tmp_path: Path) -> None:
    data = png(noise(3, np.uint16), {b"eXIf": exif(3).tobytes().removeprefix(b"Exif\0\0")})
    tags = tifffile.TiffFile(io.BytesIO(encode(decoded(data, tmp_path), "TIFF", 95))).pages[0].tags
    assert (tags["Make"].value, tags["DateTime"].value) == ("Maker", "2020:01:02 03:04:05")
    assert "Orientation" not in tags or tags["Orientation"].value == 1


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_names_outside_ascii_survive(target: str, tmp_path: Path) -> None:
    """Cameras and editors write UTF-8 where the standard asks for ASCII."""
    owner = "© José".encode() + b"\0"
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 33432, 2, len(owner), 26, 0) + owner
    data = saved(gentle("rgb"), "JPEG", exif=block)
    assert owner in bytes(encode(decoded(data, tmp_path), target, 95))


def test_thumbnail_is_left_out(tmp_path: Path) -> None:
    thumbnail = saved(Image.new("RGB", (8, 8), "red"), "JPEG")
    main = struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, 1, 0, 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, 56, 0x202, 4, 1, len(thumbnail), 0)
    block = b"Exif\0\0II*\0\x08\0\0\0" + main + second + thumbnail
    data = saved(gentle("rgb"), "JPEG", exif=block)
    assert thumbnail[:64] in data
    assert thumbnail[:64] not in bytes(encode(decoded(data, tmp_path), "JPEG", 95))


@pytest.mark.parametrize(("fmt", "kind", "space"), [
    ("JPEG", "rgb", b"RGB "), ("PNG", "rgba", b"RGB "), ("WEBP", "rgba", b"RGB "), ("TIFF", "rgb", b"RGB "),
    ("JPEG", "grey", b"GRAY"), ("PNG", "grey+alpha", b"GRAY"), ("TIFF", "grey", b"GRAY"),
    ("JPEG", "cmyk", b"CMYK"), ("TIFF", "cmyk", b"CMYK"),
])  # fmt: skip
def test_profile_survives(fmt: str, kind: str, space: bytes, tmp_path: Path) -> None:
    data = saved(gentle(kind), fmt, icc_profile=profile(space))
    again = opened(encode(decoded(data, tmp_path), fmt, 95))
    assert again.info["icc_profile"] == profile(space)


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_profile_survives_in_16_bit_tiff(kind: str, noise: Noise, tmp_path: Path) -> None:
    wanted = profile(b"GRAY" if kind == "grey" else b"RGB ")
    data = tiff(noise(CHANNELS[kind], np.uint16), kind, iccprofile=wanted)
    page = tifffile.TiffFile(io.BytesIO(encode(decoded(data, tmp_path), "TIFF", 95))).pages[0]
    assert page.tags["InterColorProfile"].value == wanted


@pytest.mark.parametrize(("fmt", "kind", "space", "target"), [
    ("JPEG", "grey", b"RGB ", "JPEG"), ("JPEG", "grey", b"RGB ", "PNG"), ("JPEG", "grey", b"RGB ", "TIFF"),
    ("PNG", "grey", b"GRAY", "WEBP"), ("PNG", "grey+alpha", b"GRAY", "WEBP"), ("JPEG", "cmyk", b"CMYK", "PNG"),
    ("JPEG", "cmyk", b"CMYK", "WEBP"), ("JPEG", "cmyk", b"RGB ", "JPEG"),
])  # fmt: skip
def test_profile_of_another_colour_space_is_left_out(
    fmt: str, kind: str, space: bytes, target: str, tmp_path: Path
) -> None:
    data = saved(gentle(kind), fmt, icc_profile=profile(space))
    assert "icc_profile" not in opened(encode(decoded(data, tmp_path), target, 95)).info


@pytest.mark.parametrize(("fmt", "kind"), [("JPEG", "rgb"), ("JPEG", "grey"), ("JPEG", "cmyk"), ("WEBP", "rgb")])
def test_lossy_formats_stay_close(fmt: str, kind: str, tmp_path: Path) -> None:
    before = opened(saved(gentle(kind), fmt, quality=95))
    picture = decoded(saved(gentle(kind), fmt, quality=95), tmp_path)
    again = opened(encode(picture, fmt, 95))
    change = np.abs(seen_by_pillow(again, kind).astype(int) - seen_by_pillow(before, kind))
    assert not picture.lossless
    assert again.mode == before.mode
    # Quality 95 quantizes the coefficients that a smooth picture has by steps of 1 to 10, of which a pixel sees a
    # fraction each; lossy WebP works in 4:2:0 and limited range, which rounds colours more coarsely.
    assert change.max() <= (12 if fmt == "WEBP" else 6)


def test_lossless_webp_with_a_profile_stays_lossless(noise: Noise, tmp_path: Path) -> None:
    """A profile comes before the chunk that tells."""
    image = stored(noise, "RGBA")
    picture = decoded(saved(image, "WEBP", icc_profile=profile(), **LOSSLESS_WEBP), tmp_path)
    np.testing.assert_array_equal(np.asarray(opened(encode(picture, "WEBP", 50))), np.asarray(image))


def test_quality_decides_the_size(noise: Noise, tmp_path: Path) -> None:
    picture = decoded(saved(stored(noise, "RGB"), "PNG"), tmp_path)
    for fmt in ("JPEG", "WEBP"):
        assert len(encode(picture, fmt, 20)) < len(encode(picture, fmt, 95)) * 0.7


def test_jpeg_keeps_full_colour_resolution(noise: Noise, tmp_path: Path) -> None:
    data = encode(decoded(saved(stored(noise, "RGB"), "PNG"), tmp_path), "JPEG", 95)
    assert {layer[1:3] for layer in opened(data).layer} == {(1, 1)}


@pytest.mark.parametrize("target", ["PNG", "WEBP", "BMP"])
def test_cmyk_becomes_rgb_where_it_must(target: str, noise: Noise, tmp_path: Path) -> None:
    picture = decoded(saved(stored(noise, "CMYK"), "TIFF"), tmp_path)
    again = opened(encode(picture, target, 95))
    assert again.mode == "RGB"
    if target != "WEBP":
        np.testing.assert_array_equal(np.asarray(again), to_rgb(picture.pixels, "cmyk"))


def test_camera_jpeg_with_a_second_picture_is_read(noise: Noise, tmp_path: Path) -> None:
    image = gentle("rgb")
    data = saved(image, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))], quality=95)
    assert decoded(data, tmp_path).format == "JPEG"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
@pytest.mark.parametrize(("fmt", "mode"), [
    ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("TIFF", "L"),
    ("BMP", "RGB"),
])  # fmt: skip
def test_cut_off_file_is_refused(fmt: str, mode: str, share: float, noise: Noise, tmp_path: Path) -> None:
    data = saved(stored(noise, mode), fmt)
    with pytest.raises(FileError, match="picture"):
        decoded(data[: int(len(data) * share)], tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_cut_off_16_bit_tiff_is_refused(compression: str | None, share: float, noise: Noise, tmp_path: Path) -> None:
    data = tiff(noise(3, np.uint16), "rgb", compression=compression)
    with pytest.raises(FileError, match="picture"):
        decoded(data[: int(len(data) * share)], tmp_path)


def test_cut_off_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (30, 30), colour) for colour in ("red", "blue")]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(FileError, match="picture"):
        decoded(data[: len(data) // 4], tmp_path)


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "is empty"), (b"not a picture\n" * 9, "not a readable image"),
    (saved(Image.new("L", (9, 9)), "GIF"), "is GIF inside"),
    (saved(Image.new("F", (9, 9)), "TIFF"), "not supported"),
    (saved(Image.new("I", (9, 9)), "TIFF"), "not supported"),
    (saved(Image.new("LAB", (9, 9)), "TIFF"), "not supported"),
    (tiff(np.zeros((9, 9, 4), np.uint16), "cmyk", photometric="separated"), "not supported"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_is_no_photo_is_refused_by_name(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"picture: .*{reason}"):
        decoded(data, tmp_path)


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(fmt: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "blue")]
    with pytest.raises(FileError, match="picture: holds several pictures"):
        decoded(saved(frames[0], fmt, save_all=True, append_images=frames[1:]), tmp_path)


def test_header_that_claims_too_many_pixels_is_refused(png: Maker, noise: Noise, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="picture: claims 60000 x 60000 pixels"):
        decoded(png(noise(1), size=(60000, 60000)), tmp_path)


@pytest.mark.parametrize("fmt", ["BMP", "PNG"])
def test_what_opencv_refuses_is_an_error_of_the_file(fmt: str, tmp_path: Path) -> None:
    """OpenCV has a limit of 2**20 pixels a row, and throws."""
    with pytest.raises(FileError, match="picture"):
        decoded(saved(Image.new("L", (1_200_000, 1)), fmt), tmp_path)


@pytest.mark.parametrize(("kind", "dtype", "fmt"), [
    ("rgba", np.uint8, "JPEG"), ("grey+alpha", np.uint8, "JPEG"), ("rgba", np.uint8, "BMP"), ("rgb", np.uint16, "JPEG"),
    ("rgb", np.uint16, "WEBP"), ("grey", np.uint16, "BMP"),
])  # fmt: skip
def test_format_that_cannot_hold_the_picture_is_refused(kind: Any, dtype: type, fmt: str, noise: Noise) -> None:
    picture = Picture(noise(CHANNELS[kind], dtype), kind, "PNG", True, b"", b"")
    with pytest.raises(FileError, match=fmt) as raised:
        encode(picture, fmt, 95)
    assert "--format png" in raised.value.mend


def bmp(bits: int, masks: tuple[int, ...], values: Array, header: int = 40) -> bytes:
    """A BMP of bit fields, rows from the top. Values are whole pixels."""
    height, width = values.shape
    pixels = values.astype(f"<u{bits // 8}")
    assert not width * bits % 32
    size = max(header, 40)
    head = struct.pack("<IiiHHIIiiII", size, width, -height, 1, bits, 3 if masks else 0, pixels.nbytes, 0, 0, 0, 0)
    fields = struct.pack(f"<{len(masks)}I", *masks)
    head += fields if size == 40 else fields.ljust(size - 40, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + pixels.nbytes, 0, 0, 14 + len(head)) + head + pixels.tobytes()


@pytest.mark.parametrize(("bits", "masks", "header"), [
    (16, (), 40), (16, (0x7C00, 0x3E0, 0x1F), 40), (16, (0xF800, 0x7E0, 0x1F), 40), (32, (), 40),
    (32, (0xFF0000, 0xFF00, 0xFF), 40), (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 56),
])  # fmt: skip
def test_bmp_of_16_and_32_bits(bits: int, masks: tuple[int, ...], header: int, tmp_path: Path) -> None:
    """White is white, black is black, and a fourth byte that says nothing is no alpha."""
    white = sum(masks[:3]) if masks else (0x7FFF if bits == 16 else 0xFFFFFF)
    values = np.full((4, 8), white, np.int64)
    values[2:] = 0
    picture = decoded(bmp(bits, masks, values, header), tmp_path)
    assert (picture.kind, picture.lossless) == ("rgb", True)
    assert (picture.pixels[:2] == 255).all()
    assert (picture.pixels[2:] == 0).all()
    np.testing.assert_array_equal(np.asarray(opened(encode(picture, "BMP", 95))), shown(picture))


def test_bmp_with_real_alpha_keeps_it(tmp_path: Path) -> None:
    values = np.arange(32, dtype=np.int64).reshape(4, 8) << 24 | 0x112233
    picture = decoded(bmp(32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), values, 56), tmp_path)
    np.testing.assert_array_equal(picture.pixels[:, :, 3], np.arange(32).reshape(4, 8))
    again = opened(encode(picture, "PNG", 95))
    np.testing.assert_array_equal(np.asarray(again), shown(picture))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_channel_that_is_no_alpha_is_kept_as_such(dtype: type, noise: Noise, tmp_path: Path) -> None:
    """Film scanners put infrared there."""
    pixels = noise(4, dtype)
    picture = decoded(tiff(pixels, "rgba", extrasamples=["unspecified"]), tmp_path)
    page = tifffile.TiffFile(io.BytesIO(encode(picture, "TIFF", 95))).pages[0]
    np.testing.assert_array_equal(page.asarray(), pixels)
    assert [int(meaning) for meaning in page.extrasamples] == [0]
    with pytest.raises(FileError, match="no channel beside"):
        encode(picture, "PNG", 95)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "extra", "photometric"), [
    (5, ["unspecified", "unspecified"], "rgb"), (5, ["unassalpha", "unspecified"], "rgb"),
    (2, ["unspecified"], "minisblack"), (4, ["assocalpha"], "rgb"), (2, ["assocalpha"], "minisblack"),
    (5, ["unspecified"], "separated"),
])  # fmt: skip
def test_channels_that_cannot_be_kept_are_refused(
    channels: int, extra: list[str], photometric: str, dtype: type, noise: Noise, tmp_path: Path
) -> None:
    data = tiff(noise(channels, dtype), "many", extrasamples=extra, photometric=photometric, planarconfig="contig")
    with pytest.raises(FileError, match="picture"):
        decoded(data, tmp_path)
