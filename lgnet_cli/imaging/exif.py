"""An EXIF block, kept byte for byte but for what the fill made untrue: pictures in it, its orientation, its size.

Cameras hide pictures of the whole photo in many places: a directory after the first or in a chain behind it,
directories below the first (SubIFDs), maker notes, resources of editors, text in base64. All of them are blanked: they
would show what was removed. What is damaged is left out, and the rest is kept.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

ORIENTATION, SUB_FOLDERS, EXIF_FOLDER, GPS_FOLDER, INTEROPERABILITY = 0x0112, 0x014A, 0x8769, 0x8825, 0xA005
EXTRA_SAMPLES = 0x0152
WIDTH, HEIGHT = 0xA002, 0xA003  # of EXIF's own directory
PARTS = ((0x0201, 0x0202), (0x0111, 0x0117), (0x0144, 0x0145))
"""Where pictures lie, and how long they are: a JPEG, strips, tiles."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of a value of each kind."""

MOST_ENTRIES, MOST_FOLDERS = 1000, 32
"""Of a directory, and directories of a block; more are no camera's."""

JPEG = re.compile(rb"\xd8\xff[\xc0-\xc4\xdb\xdd\xe0-\xef\xfe]")
"""How a JPEG begins, without its first byte, which some cameras change to hide it."""

BASE64_JPEG = re.compile(rb"/9j/[A-Za-z0-9+/=\s]{60,}")


@dataclass
class Entry:
    """One entry of a directory."""

    at: int  # where its 12 bytes are
    tag: int
    kind: int
    count: int
    place: int  # of its values
    length: int  # bytes of them


@dataclass
class Block:
    """A block that is being cleaned."""

    data: bytearray
    order: str = "<"
    notes: list[str] = field(default_factory=list)
    kept: list[slice] = field(default_factory=list)  # directories, and values that are no pictures

    def number(self, at: int, kind: str) -> int:
        return int(struct.unpack_from(self.order + kind, self.data, at)[0])

    def entries(self, at: int) -> list[Entry]:
        """Those of the directory at `at` that are whole."""
        if not 8 <= at <= len(self.data) - 2:
            return []
        count = min(self.number(at, "H"), MOST_ENTRIES, (len(self.data) - at - 2) // 12)
        found = []
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(self.order + "HHI", self.data, place)
            length = SIZES.get(kind, 0) * values
            where = place + 8 if length <= 4 else self.number(place + 8, "I")
            if length and where + length <= len(self.data):
                found.append(Entry(place, tag, kind, values, where, length))
        return found

    def is_whole(self, at: int) -> bool:
        return at >= 8 and at + 6 + 12 * self.number(at, "H") <= len(self.data)

    def values(self, entry: Entry) -> list[int]:
        """Of an entry of whole numbers; none of others."""
        code = {1: "B", 3: "H", 4: "I", 13: "I"}.get(entry.kind)
        if code is None:
            return []
        count = min(entry.count, MOST_ENTRIES)
        return [int(n) for n in struct.unpack_from(f"{self.order}{count}{code}", self.data, entry.place)]

    def blank(self, start: int, length: int) -> None:
        end = max(start, min(start + length, len(self.data)))
        self.data[start:end] = bytes(end - start)


def cleaned(raw: bytes, size: tuple[int, int] | None = None) -> tuple[bytes, int, list[str]]:
    """(the block to write, the orientation to apply, what was left out of it because it is damaged).

    Args:
        raw: a TIFF-structured block, without a prefix.
        size: (width, height) of the pixels as they are stored, which the block's own entries follow once turned.
    """
    block = Block(bytearray(raw))
    if raw[:4] not in (b"II*\0", b"MM\0*") or len(raw) < 14:
        return b"", 1, ["its EXIF block is no such thing, and is left out"]
    block.order = "<" if raw[:2] == b"II" else ">"
    first = block.number(4, "I")
    if not 8 <= first <= len(raw) - 14:
        return b"", 1, ["the directory of its EXIF block is past its end; EXIF is left out"]
    turned = _orientation(block, first)
    _remove_chain(block, first)
    for at in [first, *_below(block, first)]:
        _clean_directory(block, at)
    if size and turned >= 5:
        _set_size(block, first, size[::-1])
    _remove_hidden(block)
    return bytes(block.data), turned, block.notes


def as_alpha(tiff: bytes) -> bytes:
    """A TIFF whose last channel is called alpha: libraries read it then, and would drop one without a meaning."""
    block = Block(bytearray(tiff), "<" if tiff[:2] == b"II" else ">")
    for entry in block.entries(block.number(4, "I")):
        if entry.tag == EXTRA_SAMPLES and entry.kind == 3:
            struct.pack_into(block.order + "H", block.data, entry.place, 2)
    return bytes(block.data)


def says_orientation(raw: bytes) -> bool:
    """Whether a block that `cleaned` gave has an orientation, of whatever value the file had."""
    if not raw:
        return False
    block = Block(bytearray(raw), "<" if raw[:2] == b"II" else ">")
    return any(entry.tag == ORIENTATION for entry in block.entries(block.number(4, "I")))


def _orientation(block: Block, first: int) -> int:
    """What it says, 1 to 8; from now on, that all is upright."""
    turned = 1
    for entry in block.entries(first):
        if entry.tag == ORIENTATION:
            said = block.values(entry)
            turned = said[0] if said and said[0] in range(1, 9) else 1
            struct.pack_into(block.order + "HHIHH", block.data, entry.at, ORIENTATION, 3, 1, 1, 0)
    return turned


def _below(block: Block, first: int) -> list[int]:
    """EXIF's own directory, GPS's, and that of interoperability, as far as they are there."""
    found = []
    for entry in block.entries(first):
        if entry.tag in (EXIF_FOLDER, GPS_FOLDER):
            found += block.values(entry)[:1]
    for at in list(found):
        found += [block.values(e)[0] for e in block.entries(at) if e.tag == INTEROPERABILITY and block.values(e)]
    return [at for at in found if block.entries(at)]


def _remove_chain(block: Block, first: int) -> None:
    """The directories after the first, with their pictures: no camera has anything else there."""
    pointer = first + 2 + 12 * block.number(first, "H")
    if pointer + 4 > len(block.data):
        block.notes.append("its EXIF directory is cut off; the whole entries are kept")
        _close(block, first, block.entries(first))
        return
    at, seen = block.number(pointer, "I"), 0
    struct.pack_into(block.order + "I", block.data, pointer, 0)
    while at and seen < MOST_FOLDERS:
        if not 8 <= at <= len(block.data) - 2:
            block.notes.append("a directory of its EXIF block is past its end, and is left out")
            return
        following = at + 2 + 12 * block.number(at, "H")
        after = block.number(following, "I") if following + 4 <= len(block.data) else 0
        _blank_directory(block, at, seen)
        at, seen = after, seen + 1


def _blank_directory(block: Block, at: int, depth: int = 0) -> None:
    """All of a directory that describes another picture, and of those below it."""
    entries = block.entries(at)
    for start, length in _pictures(block, entries):
        block.blank(start, length)
    for entry in entries:
        if entry.tag == SUB_FOLDERS and depth < MOST_FOLDERS:
            for below in block.values(entry):
                _blank_directory(block, below, depth + 1)
    for entry in entries:
        block.blank(entry.place, entry.length)
    if 8 <= at <= len(block.data) - 2:
        block.blank(at, 6 + 12 * len(entries))


def _pictures(block: Block, entries: list[Entry]) -> Iterator[tuple[int, int]]:
    """(start, length) of the pictures that a directory's entries point to."""
    said = {entry.tag: block.values(entry) for entry in entries}
    for place, length in PARTS:
        yield from zip(said.get(place, []), said.get(length, []), strict=False)


def _clean_directory(block: Block, at: int) -> None:
    """Of a directory that is kept: no pictures, no directories of pictures, and no entry whose values are not there."""
    entries = block.entries(at)
    for start, length in _pictures(block, entries):
        block.blank(start, length)
    gone = {tag for pair in PARTS for tag in pair} | {SUB_FOLDERS}
    for entry in entries:
        if entry.tag == SUB_FOLDERS:
            for below in block.values(entry):
                _blank_directory(block, below)
    kept = [entry for entry in entries if entry.tag not in gone and not _dangles(block, entry)]
    whole = block.is_whole(at)
    if not whole or len(kept) < block.number(at, "H"):
        if not whole or len(entries) < block.number(at, "H") or any(_dangles(block, entry) for entry in entries):
            block.notes.append("entries of its EXIF block whose values are missing are left out")
        _close(block, at, kept)
    block.kept.append(slice(at, at + 6 + 12 * len(kept)))


def _dangles(block: Block, entry: Entry) -> bool:
    """Whether it points to a directory that is not there."""
    if entry.tag not in (EXIF_FOLDER, GPS_FOLDER, INTEROPERABILITY):
        return False
    return not any(block.entries(at) for at in block.values(entry)[:1])


def _close(block: Block, at: int, kept: list[Entry]) -> None:
    """Write the directory at `at` anew with these of its entries, and none after it."""
    listed = [bytes(block.data[entry.at : entry.at + 12]) for entry in kept]
    new = struct.pack(block.order + "H", len(listed)) + b"".join(listed) + bytes(4)
    block.data[at : at + len(new)] = new  # it grows only where the block ended amid it


def _set_size(block: Block, first: int, size: tuple[int, int]) -> None:
    for folder in _below(block, first):
        for entry in block.entries(folder):
            if entry.tag in (WIDTH, HEIGHT) and entry.kind in (3, 4):
                value = size[entry.tag == HEIGHT]
                struct.pack_into(block.order + "HII", block.data, entry.at + 2, 4, 1, value)


def _remove_hidden(block: Block) -> None:
    """JPEGs that no directory owns up to: in maker notes, resources and text."""
    for found in list(JPEG.finditer(block.data)):
        end = _end_of_jpeg(block.data, found.start() + 1)
        if end:
            _blank_around(block, found.start() - 1, end)
    for text in list(BASE64_JPEG.finditer(block.data)):
        _blank_around(block, text.start(), text.end())


def _end_of_jpeg(data: bytearray, at: int) -> int:
    """Where the JPEG ends whose first segment is at `at`; 0 if what is there is none."""
    start = at
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] >= 0xC0:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            return 0
        at += 2 + length
        if marker == 0xDA:
            end = data.find(b"\xff\xd9", at)
            return end + 2 if end >= 0 else len(data)
    return len(data) if at > start and at + 4 > len(data) else 0


def _blank_around(block: Block, start: int, end: int) -> None:
    """Blank a part, but for directories that are kept: a JPEG without an end must not take them along."""
    for kept in sorted(block.kept, key=lambda part: part.start):
        if start < kept.stop and kept.start < end:
            block.blank(start, kept.start - start)
            start = kept.stop
    block.blank(max(start, 0), end - max(start, 0))
