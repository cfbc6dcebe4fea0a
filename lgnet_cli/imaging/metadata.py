"""What a file says beside its pixels: EXIF and colour profiles, kept without what the fill made untrue.

Pillow reads EXIF but writes it anew, in ASCII, with maker notes that no longer point to themselves, and cannot write
its folders into a TIFF; so blocks are kept byte for byte, and the few entries that must change are changed in place.
"""

import io
import struct
from pathlib import Path

from PIL import Image, TiffImagePlugin

from lgnet_cli.errors import FileError

from .picture import Picture

ORIENTATION = 0x0112  # EXIF's tag
LISTED_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)  # description, maker, model, software, date, artist, copyright
FOLDERS = (0x8769, 0x8825)  # EXIF's own entries, GPS
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, SyntaxError, RuntimeError, struct.error)
"""What Pillow raises for broken files."""


def exif_block(raw: bytes, path: Path) -> tuple[bytes, int]:
    """(EXIF to write, orientation to apply): as it is, byte for byte, but for the orientation, and the thumbnail."""
    if not raw:
        return b"", 1
    exif = Image.Exif()
    try:
        exif.load(raw)
        turned = exif.get(ORIENTATION, 1)
        return _without_thumbnail(bytearray(raw)), turned if turned in range(1, 9) else 1
    except BROKEN as error:
        raise FileError(f"{path}: its EXIF block is broken", mend=f"remove it: exiftool -exif= {path}") from error


def _without_thumbnail(block: bytearray) -> bytes:
    """Blank the second directory and its picture, which would show what the fill removed; say that all is upright."""
    order = "<" if block[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, first)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", block, at) == (ORIENTATION,):
            struct.pack_into(order + "HHIHH", block, at, ORIENTATION, 3, 1, 1, 0)
    (second,) = struct.unpack_from(order + "I", block, first + 2 + 12 * count)
    if second:
        struct.pack_into(order + "I", block, first + 2 + 12 * count, 0)
        (count,) = struct.unpack_from(order + "H", block, second)
        values = {}
        for at in range(second + 2, second + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, at)
            (values[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, at + 8)
        block[second : second + 6 + 12 * count] = bytes(len(block[second : second + 6 + 12 * count]))
        for place, length in ((513, 514), (273, 279)):  # a JPEG, or plain pixels
            part = slice(values.get(place, 0), values.get(place, 0) + values.get(length, 0))
            block[part] = bytes(len(block[part]))
    return bytes(block)


def tiff_metadata(image: Image.Image) -> tuple[bytes, bytes, int]:
    """(EXIF, ICC, orientation) of a TIFF. Its EXIF lies among entries that describe its pixels; those are left out."""
    exif = image.getexif()
    kept = Image.Exif()
    for tag in LISTED_TIFF_TAGS:
        if tag in exif:
            kept[tag] = str(exif[tag]).encode("latin-1")  # as Pillow read it; it writes ASCII, or bytes as they are
    for folder in FOLDERS:
        if entries := exif.get_ifd(folder):
            kept[folder] = entries
    block = kept.tobytes().removeprefix(b"Exif\0\0") if len(kept) else b""
    turned = exif.get(ORIENTATION, 1)
    return block, image.info.get("icc_profile") or b"", turned if turned in range(1, 9) else 1


def fitting_profile(picture: Picture, fmt: str) -> bytes:
    """The profile, unless its colour space is not the pixels': PNG refuses an RGB profile on a grey picture."""
    grey = picture.kind.startswith("grey") and fmt != "WEBP"  # which has no grey
    space = b"CMYK" if picture.kind == "cmyk" else b"GRAY" if grey else b"RGB "
    return picture.icc if picture.icc[16:20] == space else b""


def append_folders(buffer: io.BytesIO, folders: dict[int, dict[int, object]]) -> None:
    """Write EXIF's folders behind a little-endian TIFF, and its directory anew with entries that point to them."""
    if not folders:
        return
    data = buffer.getbuffer()
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [bytes(data[at : at + 12]) for at in range(start + 2, start + 2 + 12 * count, 12)]
    data.release()
    for tag, folder in folders.items():
        offset = _to_even(buffer)
        directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0", group=tag)
        for key, value in folder.items():
            directory[key] = value
        buffer.write(directory.tobytes(offset))
        entries.append(struct.pack("<HHII", tag, 4, 1, offset))
    offset = _to_even(buffer)
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    buffer.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
    buffer.seek(4)
    buffer.write(struct.pack("<I", offset))


def _to_even(buffer: io.BytesIO) -> int:
    """Go to the end, on an even byte as TIFF asks."""
    at = buffer.seek(0, io.SEEK_END)
    return at + buffer.write(bytes(at % 2))
