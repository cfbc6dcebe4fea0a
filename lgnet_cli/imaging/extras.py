"""What a file says beside pixels, EXIF and profile: density, PNG's colours and texts, comments, IPTC, TIFF's tags.

Each is carried over from a format to itself, and between formats where the target has a place: `lost` names the rest.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from .exif import BASE64_JPEG, SIZES, Block

INCH = 0.0254  # metres
COLOURS = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sBIT"}
"""PNG's chunks that say what its numbers mean."""

TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
NO_TEXT = (b"Raw profile type", b"XML:com.adobe.xmp")
"""Keywords of what is metadata of another kind, which may hold pictures."""

LONGEST_TEXT = 1 << 20
"""Bytes of a PNG's text once it is unpacked; longer ones are left out, unread."""

PLAIN_TAGS = {269, 270, 271, 272, 285, 305, 306, 315, 316, 337, 33432, 33723, *range(40091, 40096)}
"""Of TIFF, besides resolution: names, dates, page, printer, IPTC, and what Windows adds."""

PLACE_TAGS = {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113}
"""GeoTIFF's and GDAL's, true as long as the picture was not turned."""

DESCRIPTION, IPTC, X_RESOLUTION, Y_RESOLUTION, UNIT = 270, 33723, 282, 283, 296
STALE = re.compile(rb'ImageJ=|\s*\{"shape"|\s*<\?xml.*<OME|\s*<OME', re.S)
"""Descriptions of how another program laid out the file."""

PHOTOSHOP = b"Photoshop 3.0\0"
IPTC_RESOURCE = b"8BIM\x04\x04"
SEGMENT = 65_533
"""Bytes that a segment of a JPEG holds."""

Tag = tuple[int, int, bytes]  # number, kind, little-endian values


@dataclass(frozen=True)
class Extras:
    """What `read` found."""

    density: tuple[float, float] | None = None  # pixels an inch, across and down
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # of PNG
    comments: tuple[bytes, ...] = ()  # of JPEG
    iptc: bytes = b""
    tags: tuple[Tag, ...] = ()  # of TIFF
    notes: tuple[str, ...] = ()  # what was left out

    def turned(self) -> "Extras":
        """Of the picture once its sides have changed places."""
        return replace(self, density=self.density and self.density[::-1])


def read(data: bytes, fmt: str, turned: int) -> Extras:
    """Of a file that has been decoded; `turned` is the EXIF orientation that was applied."""
    found = {"PNG": _of_png, "JPEG": _of_jpeg, "BMP": _of_bmp}.get(fmt)
    extras = _of_tiff(data, turned) if fmt == "TIFF" else found(data) if found else Extras()
    return extras.turned() if turned >= 5 else extras


def written(data: bytes | memoryview, extras: Extras, fmt: str, exif: bytes, icc: bytes) -> bytes | memoryview:
    """An encoded file, without metadata but in PNG, with all that it has a place for: `exif` and `icc` in JPEG."""
    if fmt == "PNG":
        return _into_png(data, extras)
    if fmt == "JPEG":
        return _into_jpeg(data, extras, exif, icc)
    if fmt == "BMP" and extras.density:
        return b"".join((data[:38], struct.pack("<II", *(round(d / INCH) for d in extras.density)), data[46:]))
    return data


def lost(extras: Extras, fmt: str) -> list[str]:
    """Notes on what has no place in a format."""
    kinds = {"density": (extras.density, {"PNG", "JPEG", "BMP", "TIFF"}), "IPTC": (extras.iptc, {"JPEG", "TIFF"}),
             "PNG's colour and text chunks": (extras.chunks, {"PNG"}), "JPEG's comments": (extras.comments, {"JPEG"}),
             "TIFF's own tags": (extras.tags, {"TIFF"})}  # fmt: skip
    return [f"{fmt} has no place for: {name}" for name, (value, places) in kinds.items() if value and fmt not in places]


def tags_of(tiff: bytes, chosen: set[int]) -> list[Tag]:
    """Entries of a TIFF-structured block's first directory, as they are but for the order of their bytes."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return []
    block = Block(cast(bytearray, memoryview(tiff)), "<" if tiff[:2] == b"II" else ">")  # not copied: it is only read
    return [(e.tag, e.kind, _little(block, e.place, e.length, e.kind))
            for e in block.entries(block.number(4, "I")) if e.tag in chosen]  # fmt: skip


def _little(block: Block, at: int, length: int, kind: int) -> bytes:
    values, size = bytes(block.data[at : at + length]), {5: 4, 10: 4}.get(kind, SIZES[kind])
    if block.order == "<" or size == 1:
        return values
    return b"".join(values[i : i + size][::-1] for i in range(0, length, size))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name in COLOURS or name in TEXTS or name == b"pHYs":
            chunk = data[at + 8 : at + 8 + length]
            if zlib.crc32(name + chunk).to_bytes(4, "big") == data[at + 8 + length : at + 12 + length]:
                yield name, chunk
        at += 12 + length


def _of_png(data: bytes) -> Extras:
    kept, density = [], None
    for name, chunk in _chunks(data):
        if name == b"pHYs":
            across, down, unit = struct.unpack(">IIB", chunk[:9]) if len(chunk) >= 9 else (0, 0, 0)
            density = (across * INCH, down * INCH) if unit == 1 else None
        elif name in COLOURS or _is_plain_text(name, chunk):
            kept.append((name, chunk))
    return Extras(density, chunks=tuple(kept))


def _is_plain_text(name: bytes, chunk: bytes) -> bool:
    keyword, _, rest = chunk.partition(b"\0")
    if keyword.startswith(NO_TEXT):
        return False
    packed = (
        rest[1:] if name == b"zTXt" else rest[2:].split(b"\0", 2)[-1] if name == b"iTXt" and rest[:1] == b"\1" else b""
    )
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, LONGEST_TEXT) if packed else rest
    except zlib.error:
        return False
    return len(text) < LONGEST_TEXT and not BASE64_JPEG.search(text)


def _into_png(data: bytes | memoryview, extras: Extras) -> bytes | memoryview:
    depth, has_profile = data[24], b"iCCP" in bytes(data[33:100])
    samples = {0: 1, 2: 3, 4: 2, 6: 4}.get(data[25], 0)
    chunks = [(n, c) for n, c in extras.chunks if not (n == b"sRGB" and has_profile)]
    chunks = [(n, c) for n, c in chunks if n != b"sBIT" or (len(c) == samples and all(0 < b <= depth for b in c))]
    if extras.density:
        across, down = (round(d / INCH) for d in extras.density)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if not chunks:
        return data
    made = [struct.pack(">I", len(c)) + n + c + zlib.crc32(n + c).to_bytes(4, "big") for n, c in chunks]
    return b"".join((data[:33], *made, data[33:]))


def _segments(data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of what comes before a JPEG's pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at, end
        at = end


def _of_jpeg(data: bytes) -> Extras:
    density, comments, iptc = None, [], b""
    for marker, start, end in _segments(data):
        part = data[start + 4 : end]
        if marker == 0xE0 and part[:5] == b"JFIF\0" and len(part) >= 12:
            unit, across, down = struct.unpack_from(">BHH", part, 7)
            scale = {1: 1.0, 2: 2.54}.get(unit)
            density = (across * scale, down * scale) if scale and across and down else None
        elif marker == 0xFE and not BASE64_JPEG.search(part):
            comments.append(part)
        elif marker == 0xED and part.startswith(PHOTOSHOP):
            iptc = iptc or _iptc_in(part[len(PHOTOSHOP) :])
    return Extras(density, comments=tuple(comments), iptc=iptc)


def _iptc_in(resources: bytes) -> bytes:
    """The IPTC resource of Photoshop's; others may be thumbnails."""
    at = 0
    while at + 12 <= len(resources) and resources[at : at + 4] == b"8BIM":
        name = 1 + resources[at + 6]
        start = at + 6 + name + name % 2
        length = int.from_bytes(resources[start : start + 4], "big")
        if resources[at : at + 6] == IPTC_RESOURCE:
            return resources[start + 4 : start + 4 + length]
        at = start + 4 + length + length % 2
    return b""


def _into_jpeg(data: bytes | memoryview, extras: Extras, exif: bytes, icc: bytes) -> bytes:
    head, rest = b"", 2
    for marker, start, end in _segments(data):
        if marker == 0xE0:
            head, rest = bytes(data[start:end]), end
        break
    if head and extras.density:
        density = [min(max(round(d), 1), 65_535) for d in extras.density]
        head = head[:11] + struct.pack(">BHH", 1, *density) + head[16:]
    parts = [(0xE1, b"Exif\0\0" + exif)] if exif else []
    pieces = [icc[at : at + SEGMENT - 14] for at in range(0, len(icc), SEGMENT - 14)]
    parts += [(0xE2, b"ICC_PROFILE\0" + bytes((i + 1, len(pieces))) + piece) for i, piece in enumerate(pieces)]
    if extras.iptc:
        resource = IPTC_RESOURCE + bytes(2) + struct.pack(">I", len(extras.iptc)) + extras.iptc
        parts.append((0xED, PHOTOSHOP + resource + bytes(len(extras.iptc) % 2)))
    parts += [(0xFE, comment) for comment in extras.comments]
    made = [struct.pack(">BBH", 0xFF, marker, len(part) + 2) + part for marker, part in parts]
    return b"".join((data[:2], head, *made, data[rest:]))


def _of_bmp(data: bytes) -> Extras:
    if len(data) < 54 or int.from_bytes(data[14:18], "little") < 40:
        return Extras()
    across, down = struct.unpack_from("<II", data, 38)
    return Extras((across * INCH, down * INCH) if across and down else None)


def _of_tiff(data: bytes, turned: int) -> Extras:
    found = tags_of(data, PLAIN_TAGS | (PLACE_TAGS if turned == 1 else set()))
    tags = tuple(tag for tag in found if not (tag[0] == DESCRIPTION and STALE.match(tag[2])))
    notes = () if len(tags) == len(found) else ("its description says how another program laid it out; it is left out",)
    iptc = b"".join(values for tag, kind, values in tags if tag == IPTC and kind in (1, 7))
    return Extras(_density_of_tiff(data), iptc=iptc, tags=tags, notes=notes)


def _density_of_tiff(data: bytes) -> tuple[float, float] | None:
    said = {
        tag: values for tag, _, values in tags_of(data, {X_RESOLUTION, Y_RESOLUTION, UNIT}) if len(values) in (2, 8)
    }
    unit = int.from_bytes(said.get(UNIT, b"\2\0"), "little")
    ratios = [struct.unpack("<II", said.get(tag, bytes(8)).ljust(8, b"\0")) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if unit not in (2, 3) or not all(a and b for a, b in ratios):
        return None
    scale = 2.54 if unit == 3 else 1.0
    (a, b), (c, d) = ratios
    return a / b * scale, c / d * scale
