"""Photos in and out: every pixel, profile and EXIF entry that the format can hold.

OpenCV 5 decodes and encodes what it can with its metadata. Pillow reads headers, and does the rest: TIFF and CMYK, of
which OpenCV drops the metadata or converts the colours, grey with alpha, and WebP, of which OpenCV blanks the colours
under transparent pixels. 16-bit colour TIFF, for which Pillow has no mode, goes through OpenCV inwards and tifffile
outwards.
"""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from lgnet_cli.errors import FileError

from .exif import as_alpha, cleaned
from .extras import IPTC, PLAIN_TAGS, tags_of, written
from .extras import read as read_extras
from .formats import FORMATS
from .header import MAX_PIXELS, Header, open_with_pillow, read_header, settle_libraries
from .metadata import (
    BROKEN,
    FOLDERS,
    ORIENTATION,
    append_folders,
    fitting_profile,
    tiff_metadata,
)
from .picture import Kind, Picture, swapped, to_rgb, upright
from .png import decode_plain

KINDS: dict[str, Kind] = {"1": "grey", "L": "grey", "I;16": "grey", "LA": "grey+alpha", "RGB": "rgb", "RGBA": "rgba",
                          "RGBX": "rgba", "CMYK": "cmyk"}  # fmt: skip

LARGEST_EXIF = 65_527
"""Bytes in the one segment that a JPEG has for it."""

OS2_BMP = 12
"""Bytes of an old BMP's header, which has other fields, and no such pixels."""


def decode(data: bytes, path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """A file's bytes as an upright picture. Raises FileError, naming `path`, for what cannot be read whole."""
    settle_libraries()
    picture = decode_plain(data, max_pixels) or _decode(data, path, max_pixels)
    picture.extras = read_extras(data, picture.format, picture.turned)
    picture.notes += picture.extras.notes
    return picture


def _decode(data: bytes, path: Path, max_pixels: int) -> Picture:
    header = read_header(data, path, max_pixels)
    if header.mode == "CMYK" or header.format == "WEBP" or (header.format == "TIFF" and header.bits < 16):
        return _decode_with_pillow(data, path, header)
    if (
        header.format == "BMP" and data[14:15] != b"\x0c" and data[28] in (16, 32)
    ):  # OpenCV shifts bits, takes any for alpha
        return _decode_with_pillow(data, path, header)
    return _decode_with_opencv(data, path, header)


def encode(picture: Picture, fmt: str, quality: int) -> bytes | memoryview:
    """A picture as the bytes of a file.

    Args:
        picture: what to write, upright.
        fmt: JPEG, PNG, WEBP, TIFF or BMP.
        quality: 1 to 100, of JPEG and of WebP, which is lossless only where the picture was lossless WebP.

    Raises:
        FileError: the format cannot hold the picture (alpha in JPEG or BMP, 16 bits in all but PNG and TIFF).
    """
    if picture.kind == "cmyk" and fmt not in ("JPEG", "TIFF"):
        rgb = to_rgb(picture.pixels, "cmyk")[:, :, ::-1]
        picture = replace(picture, pixels=np.ascontiguousarray(rgb), kind="rgb", icc=b"")  # its profile was for ink
    _check_fits(picture, fmt)
    if picture.kind == "grey+alpha" and picture.pixels.dtype == np.uint16:  # as colour: nobody reads it otherwise
        picture = replace(picture, pixels=picture.pixels[:, :, [0, 0, 0, 1]], kind="rgba")
    picture = replace(picture, icc=fitting_profile(picture, fmt))
    if fmt == "TIFF":
        return _encode_with_tifffile(picture)
    exif, icc = (picture.exif, picture.icc) if fmt == "JPEG" else (b"", b"")  # which their encoders cannot split
    if len(exif) > LARGEST_EXIF:
        raise FileError(f"JPEG holds no EXIF of {len(exif):,} bytes", mend="write another format: --format png")
    bare = replace(picture, exif=b"", icc=b"") if fmt == "JPEG" else picture
    encode_it = _encode_with_pillow if fmt == "WEBP" or picture.kind in ("cmyk", "grey+alpha") else _encode_with_opencv
    return written(encode_it(bare, fmt, quality), picture.extras, fmt, exif, icc)


def _decode_with_opencv(data: bytes, path: Path, header: Header) -> Picture:
    try:
        pixels, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # more than 2**20 pixels a side, say
        raise FileError(f"{path}: OpenCV cannot decode it ({error.err})") from error
    if pixels is None:
        raise FileError(f"{path}: damaged or cut off; its pixels cannot be decoded")
    notes: list[str] = []
    if header.format == "TIFF":  # OpenCV has turned it upright already, and hands out no metadata
        exif, icc, turned = _metadata_of_tiff(data, path)
    else:
        metadata = {kind: np.asarray(block).tobytes() for kind, block in zip(kinds, blocks, strict=True)}
        raw = metadata.get(cv2.IMAGE_METADATA_EXIF, b"")
        exif, turned, notes = cleaned(raw, pixels.shape[1::-1]) if raw else (b"", 1, [])
        icc = metadata.get(cv2.IMAGE_METADATA_ICCP, b"")
        pixels = upright(pixels, turned)
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    kind: Kind = {1: "grey", 3: "rgb", 4: "rgba"}[pixels.shape[2]]  # type: ignore[assignment]
    if header.mode == "LA":  # OpenCV makes it BGRA
        pixels, kind = np.ascontiguousarray(pixels[:, :, 2:]), "grey+alpha"
    if header.clear is not None and kind == "grey":  # OpenCV ignores it
        opaque = np.where(pixels == header.clear, 0, 255 if header.bits == 8 else 65535).astype(pixels.dtype)
        pixels, kind = np.dstack([pixels, opaque]), "grey+alpha"
    if header.inverted:
        pixels = 65535 - pixels
    return Picture(
        pixels, kind, header.format, header.format != "JPEG", exif, icc, turned, header.extra, notes=tuple(notes)
    )


def _decode_with_pillow(data: bytes, path: Path, header: Header) -> Picture:
    image = open_with_pillow(as_alpha(data) if header.extra else data, path)
    try:
        if header.format == "TIFF" and not _is_covered(image):
            raise FileError(f"{path}: damaged; parts of its pixels are missing")
        image.load()
    except BROKEN as error:
        raise FileError(f"{path}: damaged or cut off; its pixels cannot be decoded") from error
    notes: list[str] = []
    if header.format == "TIFF":  # Pillow turns it upright while it loads
        exif, icc, turned = _metadata_of_tiff(data, path)
    else:
        raw = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
        exif, turned, notes = cleaned(raw, image.size) if raw else (b"", 1, [])
        icc = image.info.get("icc_profile") or b""
    if image.mode in ("P", "PA", "YCbCr", "RGBX") and not header.extra:
        image = image.convert("RGBA" if image.has_transparency_data and image.mode != "RGBX" else "RGB")
    if (
        header.format == "BMP"
        and image.mode == "RGBA"
        and np.ptp(alpha := np.asarray(image)[:, :, 3]) == 0
        and alpha[0, 0] in (0, 255)
    ):
        image = image.convert("RGB")  # a fourth byte that says nothing
    if image.mode not in KINDS:
        raise FileError(f"{path}: {header.format} of mode {image.mode} is not supported")
    kind = KINDS[image.mode]
    pixels = np.array(image.convert("L") if image.mode == "1" else image).reshape(image.height, image.width, -1)
    lossless = header.format in ("TIFF", "BMP") or (header.format == "WEBP" and _is_lossless_webp(data))
    pixels = upright(swapped(pixels, kind), 1 if header.format == "TIFF" else turned)
    return Picture(pixels, kind, header.format, lossless, exif, icc, turned, header.extra, notes=tuple(notes))


def _is_covered(image: Image.Image) -> bool:
    """Whether a TIFF's strips reach its last pixel, in every plane; Pillow shows black where there is none."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, height = image.size if tags.get(ORIENTATION, 1) < 5 else image.size[::-1]
    tiles = image.tile  # type: ignore[attr-defined]
    ends = sum(x >= width and y >= height for _, (_, _, x, y), *_ in tiles)
    separate = tags.get(284) == 2 and tiles[0][0] == "raw"  # libtiff sees to it by itself
    return bool(ends >= (len(image.getbands()) if separate else 1))


def _metadata_of_tiff(data: bytes, path: Path) -> tuple[bytes, bytes, int]:
    try:
        return tiff_metadata(open_with_pillow(data, path))
    except BROKEN as error:
        raise FileError(f"{path}: its metadata are broken", mend=f"remove them: exiftool -all= {path}") from error


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the first chunk of pixels is VP8L; a profile may come before it."""
    at = 12  # after RIFF, length, WEBP
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        at += 8 + length + length % 2
    return False


def _check_fits(picture: Picture, fmt: str) -> None:
    if picture.extra and fmt != "TIFF":
        raise FileError(f"{fmt} has no channel beside colours and alpha", mend="write TIFF: --format tiff")
    if fmt in ("JPEG", "BMP") and picture.kind in ("rgba", "grey+alpha"):
        raise FileError(f"{fmt} has no alpha channel", mend="write another format: --format png")
    if fmt not in ("PNG", "TIFF") and picture.pixels.dtype == np.uint16:
        raise FileError(f"{fmt} has no 16 bits a channel", mend="write another format: --format png")


def _encode_with_opencv(picture: Picture, fmt: str, quality: int) -> memoryview:
    pixels = np.ascontiguousarray(picture.pixels)
    metadata = {cv2.IMAGE_METADATA_EXIF: picture.exif, cv2.IMAGE_METADATA_ICCP: picture.icc}
    metadata = {kind: block for kind, block in metadata.items() if block and fmt != "BMP"}
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    blocks = [np.frombuffer(block, np.uint8) for block in metadata.values()]
    written, data = cv2.imencodeWithMetadata(
        FORMATS[fmt], pixels, list(metadata), blocks, options if fmt == "JPEG" else []
    )
    if not written:
        raise FileError(f"OpenCV cannot write {pixels.shape} {pixels.dtype} as {fmt}")
    return memoryview(np.ascontiguousarray(data)).cast("B")  # type: ignore[arg-type]


def _encode_with_pillow(picture: Picture, fmt: str, quality: int) -> memoryview:
    pixels = swapped(picture.pixels, picture.kind)
    if picture.kind == "cmyk":  # as an array, Pillow would take it for RGBA
        image = Image.frombytes("CMYK", (picture.width, picture.height), pixels.tobytes())
    else:
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if picture.kind == "grey" else pixels))
    options: dict[str, object] = {"exif": picture.exif, "icc_profile": picture.icc or None}
    if fmt == "WEBP":
        lossless = picture.format == "WEBP" and picture.lossless
        options |= {"lossless": lossless, "exact": True, "quality": quality, "method": 4}
    elif fmt == "JPEG":
        options |= {"quality": quality, "subsampling": 0}
    buffer = io.BytesIO()
    image.save(buffer, fmt, **{key: value for key, value in options.items() if value not in (None, b"")})
    return buffer.getbuffer()


def _encode_with_tifffile(picture: Picture) -> memoryview:
    """Keeps the profile, the main entries (maker, date, copyright ...), EXIF's own and GPS."""
    exif = Image.Exif()
    if picture.exif:
        exif.load(picture.exif)
    source = list(picture.extras.tags) or tags_of(picture.exif, PLAIN_TAGS)
    if picture.extras.iptc and all(tag != IPTC for tag, *_ in source):
        source.append((IPTC, 7, picture.extras.iptc))
    tags = [(tag, kind, len(values), values, True) for tag, kind, values in source]
    density = {"resolution": picture.extras.density, "resolutionunit": "INCH"} if picture.extras.density else {}
    folders = {tag: entries for tag in FOLDERS if (entries := exif.get_ifd(tag))}
    pixels = swapped(picture.pixels, picture.kind)
    photometric = {"cmyk": "separated", "rgb": "rgb", "rgba": "rgb"}.get(picture.kind, "minisblack")
    last = "unspecified" if picture.extra else "unassalpha"
    alpha = [last] if picture.kind in ("rgba", "grey+alpha") else None
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels[:, :, 0] if picture.kind == "grey" else pixels, photometric=photometric, extrasamples=alpha,
        compression="zlib", predictor=True, iccprofile=picture.icc or None, extratags=tags, metadata=None,
        software=False, byteorder="<", planarconfig="contig" if picture.kind != "grey" else None, **density,
    )  # fmt: skip
    append_folders(buffer, folders)
    return buffer.getbuffer()
