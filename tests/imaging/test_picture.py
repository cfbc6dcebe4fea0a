"""What the network sees of a photo, and how its answer gets into the photo's own channels."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lgnet_cli.imaging.picture import Picture, put_holes, swapped, to_rgb, upright

CHANNELS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4, "cmyk": 4}
COLOURS = {"grey": 1, "grey+alpha": 1, "rgb": 3, "rgba": 3, "cmyk": 4}  # channels a fill may change
SHAPE = (5, 7)
ORIENTATION = 274
quick = settings(max_examples=50, deadline=None)


@st.composite
def regions(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(CHANNELS)) -> tuple[Any, NDArray[Any]]:
    """(kind, pixels) of every kind in both depths; CMYK has 8 bits alone."""
    kind = draw(st.sampled_from(kinds))
    dtype = np.uint8 if kind == "cmyk" else draw(st.sampled_from([np.uint8, np.uint16]))
    return kind, draw(arrays(dtype, (*SHAPE, CHANNELS[kind])))


fills = arrays(np.uint8, (*SHAPE, 3))
holes = arrays(np.bool_, SHAPE)


@quick
@given(regions(), fills, holes)
def test_fill_leaves_alpha_and_known_pixels(region: tuple[Any, NDArray[Any]], filled: Any, hole: Any) -> None:
    kind, pixels = region
    before = pixels.copy()
    put_holes(pixels, kind, filled, hole)
    np.testing.assert_array_equal(pixels[~hole], before[~hole])
    np.testing.assert_array_equal(pixels[:, :, COLOURS[kind] :], before[:, :, COLOURS[kind] :])


@quick
@given(regions(("rgb", "rgba", "cmyk")), fills, holes)
def test_colour_fill_is_seen_as_it_was_given(region: tuple[Any, NDArray[Any]], filled: Any, hole: Any) -> None:
    """In 16 bits too: 8 -> 16 -> 8 is exact. And through CMYK, for a fill has no black ink."""
    kind, pixels = region
    put_holes(pixels, kind, filled, hole)
    np.testing.assert_array_equal(to_rgb(pixels, kind)[hole], filled[hole])


@quick
@given(regions(("grey", "grey+alpha")), fills, holes)
def test_grey_fill_is_the_luminance(region: tuple[Any, NDArray[Any]], filled: Any, hole: Any) -> None:
    kind, pixels = region
    put_holes(pixels, kind, filled, hole)
    luminance = filled[hole] @ [0.299, 0.587, 0.114]
    seen = to_rgb(pixels, kind)[hole]
    # Half a step of rounding, and a little more for weights in fixed point.
    np.testing.assert_allclose(seen, np.repeat(luminance[:, None], 3, axis=1), rtol=0, atol=0.51)


@pytest.mark.parametrize("kind", ["grey", "rgb"])
def test_grey_shades_pass_unchanged(kind: Any) -> None:
    shades = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for dtype in (np.uint8, np.uint16):
        pixels = np.zeros((1, 256, CHANNELS[kind]), dtype)
        put_holes(pixels, kind, shades, np.ones((1, 256), bool))
        np.testing.assert_array_equal(to_rgb(pixels, kind), shades)
        assert pixels.max() == np.iinfo(dtype).max  # white is the depth's own white


def test_every_16_bit_value_is_rounded_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(to_rgb(values, "grey")[:, :, 0], np.rint(values[:, :, 0] / 257))


def test_channels_are_seen_as_red_green_blue() -> None:
    bgra = np.array([[[1, 2, 3, 4]]], np.uint8)
    assert to_rgb(bgra, "rgba").tolist() == [[[3, 2, 1]]]
    assert to_rgb(bgra[:, :, :3], "rgb").tolist() == [[[3, 2, 1]]]
    assert to_rgb(bgra[:, :, :2], "grey+alpha").tolist() == [[[1, 1, 1]]]


@quick
@given(arrays(np.uint8, (*SHAPE, 4)))
def test_cmyk_is_seen_as_pillow_shows_it(ink: NDArray[np.uint8]) -> None:
    wanted = np.asarray(Image.frombytes("CMYK", SHAPE[::-1], ink.tobytes()).convert("RGB"))
    # Pillow subtracts ink from white with a rounding of its own.
    np.testing.assert_allclose(to_rgb(ink, "cmyk").astype(int), wanted, rtol=0, atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_upright_is_what_pillow_shows(orientation: int, dtype: type) -> None:
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(buffer))).astype(dtype)
    turned = upright(pixels.astype(dtype), orientation)
    np.testing.assert_array_equal(turned, wanted)
    assert turned.flags.c_contiguous


@quick
@given(regions())
def test_swapping_twice_gives_the_pixels_back(region: tuple[Any, NDArray[Any]]) -> None:
    kind, pixels = region
    once = swapped(pixels, kind)
    np.testing.assert_array_equal(swapped(once, kind), pixels)
    if kind == "rgba":
        np.testing.assert_array_equal(once, cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))


@pytest.mark.parametrize(("turned", "size"), [(1, (7, 5)), (4, (7, 5)), (5, (5, 7)), (8, (5, 7))])
def test_stored_size_is_that_before_turning(turned: int, size: tuple[int, int]) -> None:
    picture = Picture(np.zeros((5, 7, 3), np.uint8), "rgb", "JPEG", False, b"", b"", turned)
    assert (picture.width, picture.height, picture.stored_size) == (7, 5, size)
