"""The size of a JPEG by its own header: Pillow's, or none."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lgnet_cli.imaging.jpeg import size_of


def saved(mode: str, size: tuple[int, int], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 0).save(buffer, "JPEG", **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [
    {}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(3000)}, {"icc_profile": bytes(100_000)},
    {"comment": b"\xff\xc0" * 40}, {"restart_marker_rows": 1}, {"subsampling": 0},
], ids=str)  # fmt: skip
def test_the_size_is_what_pillow_says(mode: str, options: dict[str, object]) -> None:
    assert size_of(saved(mode, (301, 202), **options)) == (301, 202)


def test_others_are_left_to_pillow() -> None:
    assert size_of(saved("CMYK", (30, 20))) is None
    assert size_of(b"") is None
    assert size_of(b"\x89PNG") is None
    twelve_bits = bytearray(saved("L", (30, 20)))
    at = twelve_bits.index(b"\xff\xc0")
    twelve_bits[at + 4] = 12
    assert size_of(bytes(twelve_bits)) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_gives_pillows_size_or_none(data: st.DataObject) -> None:
    """Where both say something, they agree: what is allocated is what was checked."""
    whole = bytearray(saved("RGB", (60, 40), icc_profile=bytes(300)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    said = size_of(damaged)
    try:
        pillow = Image.open(io.BytesIO(damaged)).size
    except Exception:
        return
    assert said in (None, pillow)


def test_it_ends_on_any_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        size_of(b"\xff\xd8" + rng.choice([0xFF, 0xE0, 0xC4, 0, 1], 200).astype(np.uint8).tobytes())
