"""Fills put into photos: known pixels stay, in every kind, depth and refinement; plain grounds come back whole."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lgnet_cli.imaging.crops import HdMode, cut, part_of, plan
from lgnet_cli.imaging.picture import COLOURS, Kind, Picture, to_rgb
from lgnet_cli.refine import Refine
from lgnet_cli.refine.paste import paste

CHANNELS: dict[Kind, int] = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4, "cmyk": 4}
KINDS = [(kind, np.uint8) for kind in CHANNELS] + [(kind, np.uint16) for kind in CHANNELS if kind != "cmyk"]
REFINES: tuple[Refine, ...] = ("texture", "tone", "none")
SMALL: dict[str, Any] = {"size": 16, "margin": 4}  # a network of 16 pixels meets in small photos what 256 does in large
Hole = NDArray[np.bool_]


def picture_of(pixels: NDArray[Any], kind: Kind) -> Picture:
    return Picture(pixels, kind, "PNG", True, b"", b"")


def noise(height: int, width: int, kind: Kind = "rgb", dtype: type = np.uint8, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    return picture_of(rng.integers(0, np.iinfo(dtype).max + 1, (height, width, CHANNELS[kind]), dtype=dtype), kind)


def spot(height: int, width: int, *boxes: tuple[int, int, int, int]) -> Hole:
    """Holes at (top, left, height, width)."""
    hole = np.zeros((height, width), bool)
    for top, left, high, wide in boxes:
        hole[top : top + high, left : left + wide] = True
    return hole


def fill(picture: Picture, hole: Hole, refine: Refine, colour: Any = (10, 120, 240), seed: int = 0, **how: Any) -> None:
    """As the batch does it, with a network that draws one colour."""
    crops = plan(hole, **how)
    drawn = []
    for crop in crops:
        image, mask = cut(picture, hole, crop, border=True)
        drawn.append(np.where(mask[:, :, None] > 0, np.array(colour, np.uint8), image))
    paste(picture, hole, crops, drawn, refine, seed)


@st.composite
def holes(draw: st.DrawFn, longest: int = 90) -> Hole:
    """Rectangles and speckles, in photos from one pixel to long and thin; and nothing but hole."""
    height, width = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hole = rng.random((height, width)) < draw(st.sampled_from([0, 0.002, 0.02, 0.3, 1]))
    for _ in range(draw(st.integers(0, 3))):
        y, x = rng.integers(height), rng.integers(width)
        hole[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = True
    return hole


@pytest.mark.parametrize("refine", REFINES)
@pytest.mark.parametrize(("kind", "dtype"), KINDS)
@settings(max_examples=5, deadline=None)  # of 27
@given(hole=holes(), mode=st.sampled_from(["crop", "resize"]), seed=st.integers(0, 2))
def test_holes_change_alone(kind: Kind, dtype: type, refine: Refine, hole: Hole, mode: HdMode, seed: int) -> None:
    picture = noise(*hole.shape, kind, dtype)
    before, given_hole = picture.pixels.copy(), hole.copy()
    fill(picture, hole, refine, seed=seed, mode=mode, **SMALL)
    np.testing.assert_array_equal(picture.pixels[~hole], before[~hole])
    np.testing.assert_array_equal(picture.pixels[:, :, COLOURS[kind] :], before[:, :, COLOURS[kind] :])
    np.testing.assert_array_equal(hole, given_hole)


@settings(max_examples=40, deadline=None)
@given(hole=holes(40), refine=st.sampled_from(REFINES))
def test_nothing_of_what_a_hole_held_is_left(hole: Hole, refine: Refine) -> None:
    """Whoever gets the result must not learn what was there."""
    one, other = noise(*hole.shape), noise(*hole.shape)
    one.pixels[hole], other.pixels[hole] = 255, 3
    for picture in (one, other):
        fill(picture, hole, refine, **SMALL)
    np.testing.assert_array_equal(one.pixels, other.pixels)


@settings(max_examples=40, deadline=None)
@given(hole=holes(40), value=st.integers(0, 255))
def test_none_at_full_size_is_what_the_network_drew(hole: Hole, value: int) -> None:
    picture = noise(*hole.shape)
    fill(picture, hole, "none", (value,) * 3, mode="original")
    assert (picture.pixels[hole] == value).all()


def test_none_is_enlarged_without_any_change_of_tone() -> None:
    hole, picture = spot(1024, 1024, (200, 200, 600, 600)), noise(1024, 1024)
    fill(picture, hole, "none", (10, 120, 240))
    assert (to_rgb(picture.pixels, "rgb")[300:700, 300:700] == (10, 120, 240)).all()


SHAPES = {
    "speck": [(100, 150, 5, 5)],
    "dust": [(20 + 30 * i, 10 + 50 * j, 3 + i, 4) for i in range(6) for j in range(5)],
    "scratch": [(90, 0, 4, 300)],
    "object": [(60, 80, 100, 120)],
    "corner": [(0, 0, 80, 70)],
    "right edge": [(60, 250, 60, 50)],
}


@pytest.mark.parametrize("refine", ["texture", "tone"])
@pytest.mark.parametrize(("kind", "dtype"), KINDS)
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_plain_grounds_come_back_within_a_level(shape: str, kind: Kind, dtype: type, refine: Refine) -> None:
    hole = spot(240, 300, *SHAPES[shape])
    y, x = np.mgrid[:240, :300]
    unit = np.iinfo(dtype).max / 255
    for ground in (np.full((240, 300), 255.0), np.zeros((240, 300)), np.full((240, 300), 97.0), 40 + 0.5 * x + 0.2 * y):
        levels = np.repeat(ground[:, :, None], CHANNELS[kind], axis=2)
        levels[:, :, : COLOURS[kind]] *= np.linspace(1, 0.5, COLOURS[kind])  # a colour, green say
        pixels = np.rint(levels * unit).astype(dtype)
        wanted, picture = pixels.astype(float), picture_of(pixels.copy(), kind)
        picture.pixels[hole, : COLOURS[kind]] = 0
        fill(picture, hole, refine)
        assert np.abs(picture.pixels - wanted).max() <= unit


@pytest.mark.parametrize("refine", ["texture", "tone"])
def test_what_is_filled_does_not_depend_on_the_photos_other_parts(refine: Refine) -> None:
    """The same hole in a photo that was cut otherwise, and beside a hole elsewhere."""
    whole = cv2.GaussianBlur(noise(700, 900, seed=5).pixels, (0, 0), 2)
    hole = spot(700, 900, (300, 400, 60, 80))
    first, other, cropped = (picture_of(part.copy(), "rgb") for part in (whole, whole, whole[37:, 81:]))
    fill(first, hole, refine)
    fill(other, hole | spot(700, 900, (20, 20, 30, 30)), refine)
    fill(cropped, hole[37:, 81:], refine)
    np.testing.assert_array_equal(other.pixels[hole], first.pixels[hole])
    np.testing.assert_array_equal(cropped.pixels, first.pixels[37:, 81:])


def test_texture_in_16_bits_is_no_8_bit_texture() -> None:
    picture = noise(200, 200, "rgb", np.uint16)
    hole = spot(200, 200, (80, 80, 40, 40))
    fill(picture, hole, "texture")
    assert (picture.pixels[hole] % 257 != 0).mean() > 0.9


def test_black_ink_is_filled_as_it_is_around() -> None:
    """Text in black ink alone on paper: the network's colours know no black."""
    pixels = np.zeros((200, 220, 4), np.uint8)
    pixels[40:160:8, :, 3] = 230
    pixels[:, :, 3] = cv2.GaussianBlur(pixels[:, :, 3], (0, 0), 1)
    picture, hole = picture_of(pixels, "cmyk"), spot(200, 220, (70, 80, 40, 50))
    known_ink = pixels[60:120, 60:150].reshape(-1, 4).mean(axis=0)
    fill(picture, hole, "texture", (128, 128, 128))
    ink = picture.pixels[hole].mean(axis=0)
    assert ink[:3].max() < 10  # of 255, where the network's grey would be 127 each
    assert abs(ink[3] - known_ink[3]) < 60


def test_16_bits_of_a_narrow_range_come_back_in_it() -> None:
    """A depth map."""
    x = np.linspace(60, 846, 300)
    pixels = np.repeat(np.repeat(x.astype(np.uint16)[None, :, None], 200, axis=0), 1, axis=2)
    hole = spot(200, 300, (60, 100, 50, 60))
    for refine in REFINES[:2]:
        picture = picture_of(pixels.copy(), "grey")
        picture.pixels[hole] = 65535
        fill(picture, hole, refine)
        assert np.abs(picture.pixels[hole].astype(float) - pixels[hole]).max() <= 4  # of 786: half a percent
    picture = picture_of(pixels.copy(), "grey")
    fill(picture, hole, "none", (255, 255, 255))
    (crop,) = plan(hole)
    brightest = pixels[part_of(crop)][~hole[part_of(crop)]].max()
    assert (picture.pixels[hole] == brightest).all()  # that is white to the network


@pytest.mark.parametrize("refine", ["texture", "tone"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (30, 40), (256, 256)])
def test_nothing_but_hole_is_what_the_network_drew(shape: tuple[int, int], refine: Refine) -> None:
    picture = noise(*shape)
    fill(picture, np.ones(shape, bool), refine, (10, 120, 240))
    np.testing.assert_array_equal(to_rgb(picture.pixels, "rgb"), np.broadcast_to((10, 120, 240), (*shape, 3)))
