"""No picture of what was removed stays in EXIF, what is damaged is left out, and the rest stays byte for byte."""

import base64
import io
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lgnet_cli.imaging.exif import cleaned
from lgnet_cli.imaging.files import decode, encode

MAKE, NOTES, TEXT = 271, 0x927C, 0x9286
Value = tuple[int, int, bytes]  # tag, kind, bytes of the value


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 80).save(buffer, "JPEG")
    return buffer.getvalue()


PREVIEW = jpeg()
SCAN = PREVIEW[-200:-2]
"""Of its compressed pixels, which no part of may stay."""


class Maker:
    """An EXIF block, directory by directory, of either byte order."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))

    def add(self, data: bytes) -> int:
        self.data += bytes(len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)

    def directory(self, entries: list[Value], following: int = 0) -> int:
        packed = []
        for tag, kind, value in sorted(entries):
            count = len(value) // {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}[kind]
            place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(self.order + "I", self.add(value))
            packed.append(struct.pack(self.order + "HHI", tag, kind, count) + place)
        head = struct.pack(self.order + "H", len(packed))
        return self.add(head + b"".join(packed) + struct.pack(self.order + "I", following))

    def long(self, tag: int, value: int) -> Value:
        return tag, 4, struct.pack(self.order + "I", value)

    def thumbnail(self, following: int = 0) -> int:
        at = self.add(PREVIEW)
        return self.directory([self.long(513, at), self.long(514, len(PREVIEW))], following)

    def whole(self, entries: list[Value], own: list[Value], following: int = 0) -> bytes:
        folder = self.directory([(0x9003, 2, b"2020:01:02 03:04:05\0"), *own])
        first = self.directory([(MAKE, 2, b"Maker of cameras\0"), self.long(0x8769, folder), *entries], following)
        struct.pack_into(self.order + "I", self.data, 4, first)
        return bytes(self.data)


def third_directory(make: Maker) -> bytes:
    return make.whole([], [], make.thumbnail(make.thumbnail()))


def sub_folders(make: Maker) -> bytes:
    folders = [make.thumbnail(), make.thumbnail()]
    return make.whole([(0x14A, 4, struct.pack(make.order + "II", *folders))], [])


def strips(make: Maker) -> bytes:
    at = make.add(SCAN)
    return make.whole([], [], make.directory([make.long(273, at), make.long(279, len(SCAN))]))


def maker_notes(make: Maker) -> bytes:
    return make.whole([], [(NOTES, 7, b"Camera\0\1" + PREVIEW + b"and more of its notes")])


def maker_notes_with_a_hidden_beginning(make: Maker) -> bytes:
    return make.whole([], [(NOTES, 7, b"Camera\0\1" + b"\2" + PREVIEW[1:] + b"and more of its notes")])


def behind_all(make: Maker) -> bytes:
    return make.whole([], [(NOTES, 7, b"Camera\0\1and more of its notes")]) + PREVIEW


def editors_resources(make: Maker) -> bytes:
    return make.whole(
        [(0x8649, 1, b"8BIM\x04\x0c\0\0" + struct.pack(">I", len(PREVIEW) + 28) + bytes(28) + PREVIEW)], []
    )


def in_the_first_directory(make: Maker) -> bytes:
    at = make.add(PREVIEW)
    return make.whole([make.long(513, at), make.long(514, len(PREVIEW))], [])


HIDDEN = [third_directory, sub_folders, strips, maker_notes, maker_notes_with_a_hidden_beginning, behind_all,
          editors_resources, in_the_first_directory]  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("hide", HIDDEN)
def test_no_picture_stays_and_the_rest_does(hide: Any, order: str) -> None:
    raw = hide(Maker(order))
    assert SCAN in raw
    block, _, notes = cleaned(raw)
    assert all(SCAN[at : at + 16] not in block for at in range(0, len(SCAN) - 16, 8))
    exif = Image.Exif()
    exif.load(block)
    assert exif[MAKE] == "Maker of cameras"
    own = exif.get_ifd(0x8769)
    assert own[0x9003] == "2020:01:02 03:04:05"
    assert NOTES not in own or own[NOTES].endswith(b"and more of its notes")
    assert (exif.get_ifd(1), notes) == ({}, [])


def test_a_picture_in_text_does_not_stay() -> None:
    text = base64.b64encode(PREVIEW)
    block, *_ = cleaned(Maker("<").whole([], [(TEXT, 7, b"ASCII\0\0\0" + text)]))
    assert text[100:140] not in block


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("hide", HIDDEN)
def test_no_picture_reaches_a_file(hide: Any, target: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(buffer, "JPEG", exif=b"Exif\0\0" + hide(Maker("<")))
    assert SCAN in buffer.getvalue()
    written = bytes(encode(decode(buffer.getvalue(), Path("a")), target, 95))
    assert SCAN[:40] not in written
    assert Image.open(io.BytesIO(written)).getexif()[MAKE] == "Maker of cameras"


def test_a_plain_block_stays_byte_for_byte() -> None:
    raw = Maker(">").whole([(305, 2, "Jos\u00e9 \u00a9".encode() + b"\0")], [(NOTES, 7, bytes(range(256)) * 4)])
    assert cleaned(raw) == (raw, 1, [])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_follows_what_is_turned(orientation: int) -> None:
    make = Maker("<")
    own = [make.long(0xA002, 640), make.long(0xA003, 480)]
    raw = make.whole([(274, 3, struct.pack("<H", orientation))], own)
    block, turned, _ = cleaned(raw, (640, 480))
    exif = Image.Exif()
    exif.load(block)
    size = exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003]
    assert (turned, exif[274], size) == (orientation, 1, (480, 640) if orientation >= 5 else (640, 480))


def no_next_pointer(make: Maker) -> bytes:
    return make.whole([], [])[:-4]


def half_an_entry(make: Maker) -> bytes:
    return make.whole([(0xEEEE, 4, bytes(4))], [])[:-9]


def next_past_the_end(make: Maker) -> bytes:
    return make.whole([], [], 99_999)


def half_a_thumbnail(make: Maker) -> bytes:
    at = make.directory([make.long(513, 99_999), make.long(514, 5_000)])
    return make.whole([], [], at)


def value_past_the_end(make: Maker) -> bytes:
    raw = bytearray(make.whole([(0xEEEE, 2, b"long enough")], []))
    at = raw.index(struct.pack(make.order + "HH", 0xEEEE, 2))
    struct.pack_into(make.order + "I", raw, at + 8, 99_999)
    return bytes(raw)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "damage", [no_next_pointer, half_an_entry, next_past_the_end, half_a_thumbnail, value_past_the_end]
)
def test_what_is_whole_of_a_damaged_block_is_kept(damage: Any, order: str) -> None:
    block, _, notes = cleaned(damage(Maker(order)))
    exif = Image.Exif()
    exif.load(block)
    assert exif[MAKE] == "Maker of cameras"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert bool(notes) == (damage is not half_a_thumbnail)


@pytest.mark.parametrize("raw", [b"", b"junk", b"no such block" * 9, b"II*\0\xff\xff\xff\xff" + bytes(20), bytes(500)])
def test_junk_is_left_out_and_said(raw: bytes) -> None:
    block, turned, notes = cleaned(raw)
    assert (block, turned, len(notes)) == (b"", 1, 1)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_leaves_a_block_without_pictures(data: st.DataObject) -> None:
    raw = bytearray(third_directory(Maker("<")) if data.draw(st.booleans()) else maker_notes(Maker(">")))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=12)):
        raw[at] = data.draw(st.integers(0, 255))
    cleaned(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
