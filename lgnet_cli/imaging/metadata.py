"""What a file says beside its pixels: EXIF and colour profiles, kept without what the fill made untrue.

Pillow reads EXIF but writes it anew, in ASCII, with maker notes that no longer point to themselves, and cannot write
its folders into a TIFF; so blocks are kept byte for byte, and the few entries that must change are changed in place.
"""

import io
import struct

from PIL import Image, TiffImagePlugin

from .exif import INTEROPERABILITY, cleaned
from .extras import STALE
from .picture import Picture

ORIENTATION = 0x0112  # EXIF's tag
LISTED_TIFF_TAGS = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
"""Document's name, description, maker, model, software, date, artist, computer, copyright."""

WINDOWS_TAGS = range(40091, 40096)  # title, comment, author, keywords, subject: bytes
FOLDERS = (0x8769, 0x8825)  # EXIF's own entries, GPS
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, SyntaxError, RuntimeError, struct.error)
"""What Pillow raises for broken files."""


def tiff_metadata(image: Image.Image) -> tuple[bytes, bytes, int]:
    """(EXIF, ICC, orientation) of a TIFF. Its EXIF lies among entries that describe its pixels; those are left out."""
    exif = image.getexif()
    kept = Image.Exif()
    for tag in LISTED_TIFF_TAGS:
        if tag in exif:
            if STALE.match(str(exif[tag]).encode(errors="replace")):
                continue
            said = exif[tag]  # as Pillow read it; it writes ASCII, or bytes as they are
            kept[tag] = said.rstrip(b"\0") if isinstance(said, bytes) else str(said).encode("latin-1")
    for tag in WINDOWS_TAGS:
        if isinstance(exif.get(tag), bytes):
            kept[tag] = exif[tag]
    for folder in FOLDERS:
        if entries := {tag: value for tag, value in exif.get_ifd(folder).items() if tag != INTEROPERABILITY}:
            kept[folder] = entries
    block = cleaned(kept.tobytes().removeprefix(b"Exif\0\0"))[0] if len(kept) else b""
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
            if key != INTEROPERABILITY:  # it points to a directory that is not taken along
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
