"""Crops cover every hole, show the network no hole's content, and change nothing but holes."""

import time
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lgnet_cli.imaging.crops import Crop, cut, owned, part_of, plan
from lgnet_cli.imaging.groups import MAX_CROPS, _outlined
from lgnet_cli.imaging.picture import Picture, to_rgb

Hole = NDArray[np.bool_]
SMALL: dict[str, Any] = {"size": 16, "margin": 4}  # a network of 16 pixels meets in small photos what 256 does in large
CHANNELS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4, "cmyk": 4}
KINDS = [(kind, np.uint8) for kind in CHANNELS] + [(kind, np.uint16) for kind in CHANNELS if kind != "cmyk"]
thorough = settings(max_examples=80, deadline=None)


@st.composite
def holes(draw: st.DrawFn, longest: int = 110) -> Hole:
    """Rectangles and speckles, in photos from one pixel to long and thin."""
    height, width = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    hole = rng.random((height, width)) < draw(st.sampled_from([0, 0.002, 0.02, 0.3]))
    for _ in range(draw(st.integers(0, 5))):
        y, x = rng.integers(height), rng.integers(width)
        hole[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = True
    return hole


def photo(height: int, width: int, kind: Any = "rgb", dtype: type = np.uint8) -> Picture:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, CHANNELS[kind]), dtype=dtype)
    return Picture(pixels, kind, "PNG", True, b"", b"")


def spot(height: int, width: int, *boxes: tuple[int, int, int, int]) -> Hole:
    """Holes at (top, left, height, width)."""
    hole = np.zeros((height, width), bool)
    for top, left, high, wide in boxes:
        hole[top : top + high, left : left + wide] = True
    return hole


def spread(hole: Hole, crop: Crop) -> Hole:
    """What a crop owns, in the whole photo."""
    whole = np.zeros(hole.shape, bool)
    whole[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width] = owned(hole, crop)
    return whole


def constant(crop: Crop, value: int) -> NDArray[np.uint8]:
    return np.full((crop.size[1], crop.size[0], 3), value, np.uint8)


@pytest.mark.parametrize("mode", ["crop", "resize", "original"])
@thorough
@given(hole=holes())
def test_crops_own_all_holes_and_nothing_else(mode: Any, hole: Hole) -> None:
    whole = np.zeros(hole.shape, bool)
    for crop in plan(hole, mode=mode, **SMALL):
        whole |= spread(hole, crop)
    np.testing.assert_array_equal(whole, hole)


@thorough
@given(hole=holes())
def test_merged_crops_do_not_overlap_and_own_all_holes(hole: Hole) -> None:
    crops = plan(hole, **SMALL, merge=True)
    covered, whole = np.zeros((300, 300), int), np.zeros(hole.shape, bool)
    for crop in crops:
        covered[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width] += 1
        whole |= spread(hole, crop)
    assert covered.max() <= 1
    np.testing.assert_array_equal(whole, hole)


@thorough
@given(holes())
def test_crops_hold_their_boxes_and_lie_inside(hole: Hole) -> None:
    height, width = hole.shape
    for crop in plan(hole, **SMALL):
        left, top, right, bottom = crop.holes
        assert 0 <= crop.left <= left < right <= min(width, crop.left + crop.width)
        assert 0 <= crop.top <= top < bottom <= min(height, crop.top + crop.height)
        assert crop.left + crop.width <= max(width, crop.width)  # over the edge only if the photo is smaller
        assert crop.top + crop.height <= max(height, crop.height)
        assert crop.width == crop.height >= 16


@thorough
@given(holes())
def test_outlines_give_the_boxes_of_labels(hole: Hole) -> None:
    hole[0, 0] = True  # it is never asked of a mask without holes
    _, _, stats, _ = cv2.connectedComponentsWithStats(hole.view(np.uint8), connectivity=8)
    boxes = {(x, y, x + width, y + height) for x, y, width, height, _ in stats[1:].tolist()}
    found = _outlined(hole)
    assert found is None or {tuple(box) for box in found.tolist()} == boxes


@thorough
@given(holes())
def test_larger_crops_come_first_and_not_too_many(hole: Hole) -> None:
    sides = [crop.width for crop in plan(hole, **SMALL)]
    assert sides == sorted(sides, reverse=True)
    assert len(sides) <= MAX_CROPS


@pytest.mark.parametrize("mode", ["crop", "resize", "original"])
def test_nothing_to_fill_gives_no_crops(mode: Any) -> None:
    assert plan(np.zeros((300, 400), bool), mode=mode) == []


def test_far_holes_keep_their_detail() -> None:
    crops = plan(spot(1000, 1500, (20, 30, 60, 90), (900, 1300, 40, 40)))
    assert [(crop.width, crop.size) for crop in crops] == [(256, (256, 256))] * 2


def test_near_holes_share_a_crop() -> None:
    (crop,) = plan(spot(1000, 1500, (400, 400, 30, 30), (430, 460, 20, 30)))
    assert crop.holes == (400, 400, 490, 450)


def test_a_fine_crop_is_not_drawn_into_a_coarse_one() -> None:
    """A speck beside a large hole stays sharp, if a crop of its own keeps it from being filled smaller."""
    hole = spot(3000, 3000, (100, 100, 1200, 1200), (700, 1400, 10, 10))
    coarse, fine = plan(hole)
    assert coarse.width > 256
    assert fine.width == 256
    assert spread(hole, fine).sum() == 100


@pytest.mark.parametrize(("margin", "around"), [(0, 150), (64, 150), (200, 200)])
def test_a_large_hole_has_half_its_size_around_it_or_the_margin(margin: int, around: int) -> None:
    (crop,) = plan(spot(2000, 2000, (800, 800, 300, 200)), margin=margin)
    assert crop.width == 300 + 2 * around
    assert crop.top == 800 - (crop.width - 300) // 2


def test_crop_is_shifted_into_the_photo() -> None:
    (crop,) = plan(spot(600, 800, (590, 790, 10, 10)))
    assert (crop.left, crop.top, crop.width) == (544, 344, 256)


def test_a_scratch_that_touches_an_object_is_filled_in_pieces_of_its_own() -> None:
    hole = spot(2000, 3000, (600, 600, 500, 500), (840, 1100, 8, 1500))
    body, *pieces = plan(hole)
    assert body.holes[2] <= 1100 + 60  # the object, and what of the scratch is near it
    assert {piece.width for piece in pieces} == {256}
    assert spread(hole, body)[600:1100, 600:1100].all()
    for piece in pieces:
        assert not spread(hole, piece)[600:1100, 600:1050].any()


def test_a_letter_beside_an_object_keeps_its_detail() -> None:
    """Its crop would fit into the object's, which is four times as coarse."""
    hole = spot(3000, 3000, (1000, 1000, 500, 500), (1200, 1600, 40, 20))
    assert [crop.width for crop in plan(hole)] == [1000, 256]


@pytest.mark.parametrize(("down", "right"), [(1, 0), (13, 77)])
def test_a_photo_that_was_cut_otherwise_has_the_same_crops(down: int, right: int) -> None:
    hole = spot(3000, 3000, (1000, 1000, 500, 500), (1200, 1500, 9, 900), (600, 700, 40, 20), (650, 740, 40, 20))
    moved = np.zeros_like(hole)
    moved[down:, right:] = hole[: 3000 - down, : 3000 - right]
    assert [(crop.top - down, crop.left - right, crop.width) for crop in plan(moved)] == [
        (crop.top, crop.left, crop.width) for crop in plan(hole)
    ]


@pytest.mark.parametrize("density", [1e-5, 1e-3, 0.05])
def test_speckles_of_a_large_photo_are_planned_soon(density: float) -> None:
    hole = np.random.default_rng(0).random((3000, 4000)) < density
    started = time.process_time()
    crops = plan(hole)
    # 0.7 s of processor time, which a busy machine does not stretch much; a search through pairs would take minutes.
    assert time.process_time() - started < 6
    assert 1 <= len(crops) <= MAX_CROPS


@pytest.mark.parametrize(("shape", "size"), [
    ((256, 512), (512, 256)), ((257, 1), (256, 512)), ((1, 1), (256, 256)), ((700, 900), (1024, 768)),
])  # fmt: skip
def test_original_covers_the_photo_in_multiples_of_256(shape: tuple[int, int], size: tuple[int, int]) -> None:
    (crop,) = plan(np.ones(shape, bool), mode="original")
    assert (crop.left, crop.top, crop.width, crop.height, crop.size) == (0, 0, *size, size)


@pytest.mark.parametrize(("shape", "side"), [((1, 1), 256), ((200, 100), 256), ((300, 700), 700), ((5, 3000), 3000)])
def test_resize_is_one_square_around_the_photo(shape: tuple[int, int], side: int) -> None:
    (crop,) = plan(np.ones(shape, bool), mode="resize")
    assert (crop.left, crop.top, crop.width, crop.height, crop.size) == (0, 0, side, side, (256, 256))


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_cut_at_full_size_is_exact(kind: Any, dtype: type) -> None:
    picture = photo(400, 500, kind, dtype)
    hole = spot(400, 500, (200, 300, 30, 50), (20, 20, 4, 4))
    for crop in plan(hole):
        pixels, holes_of_crop = cut(picture, hole, crop)
        part = np.s_[crop.top : crop.top + 256, crop.left : crop.left + 256]
        np.testing.assert_array_equal(pixels, to_rgb(picture.pixels[part], kind))
        np.testing.assert_array_equal(holes_of_crop, hole[part] * 255)


@pytest.mark.parametrize("shape", [(1, 1), (2, 255), (100, 90), (255, 256), (7, 700)])
@pytest.mark.parametrize("mode", ["crop", "original"])
def test_small_photos_are_mirrored(shape: tuple[int, int], mode: Any) -> None:
    picture, hole = photo(*shape), spot(*shape, (0, 0, 1, 1))
    (crop,) = plan(hole, mode=mode)
    pixels, holes_of_crop = cut(picture, hole, crop)
    below, right = (max(0, side - had) for side, had in zip((crop.height, crop.width), shape, strict=True))
    rgb = to_rgb(picture.pixels, "rgb")[:, : crop.width]
    np.testing.assert_array_equal(pixels, np.pad(rgb, ((0, below), (0, right), (0, 0)), "symmetric"))
    mirrored = np.pad(hole[:, : crop.width], ((0, below), (0, right)), "symmetric")
    np.testing.assert_array_equal(holes_of_crop, mirrored * 255)


def test_shrunk_cut_is_the_mean_of_what_is_known() -> None:
    picture = photo(32, 32)
    hole = spot(32, 32, (8, 8, 12, 13))
    (crop,) = plan(hole, mode="resize", size=16)
    pixels, holes_of_crop = cut(picture, hole, crop)
    blocks = to_rgb(picture.pixels, "rgb").reshape(16, 2, 16, 2, 3).astype(float)
    known = ~hole.reshape(16, 2, 16, 2)
    share = known.mean(axis=(1, 3))
    means = (blocks * known[..., None]).sum(axis=(1, 3)) / np.maximum(known.sum(axis=(1, 3)), 1)[..., None]
    # Half a step of rounding, and the last bits of 32-bit sums.
    np.testing.assert_allclose(pixels[share > 0], means[share > 0], rtol=0, atol=0.501)
    np.testing.assert_array_equal(holes_of_crop == 255, share < 0.5)


@pytest.mark.parametrize("mode", ["crop", "resize", "original"])
@thorough
@given(hole=holes())
def test_content_of_holes_never_shows(mode: Any, hole: Hole) -> None:
    """The network, and whoever gets the result, must not learn what was there."""
    one, other = photo(*hole.shape), photo(*hole.shape)
    one.pixels[hole], other.pixels[hole] = 255, 3
    for crop in plan(hole, mode=mode, **SMALL):
        (seen, holes_of_crop), (again, _) = cut(one, hole, crop), cut(other, hole, crop)
        assert seen.shape == (crop.size[1], crop.size[0], 3)
        np.testing.assert_array_equal(seen[holes_of_crop == 0], again[holes_of_crop == 0])


@thorough
@given(hole=holes())
def test_the_border_that_is_drawn_is_known_and_next_to_holes(hole: Hole) -> None:
    picture = photo(*hole.shape)
    for crop in plan(hole, **SMALL):
        _, plain = cut(picture, hole, crop)
        _, marked = cut(picture, hole, crop, border=True)
        np.testing.assert_array_equal(marked == 255, plain == 255)
        next_to = cv2.dilate((plain == 255).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0
        np.testing.assert_array_equal(marked == 1, next_to & (plain == 0))


def test_16_bits_of_a_narrow_range_are_stretched() -> None:
    """A depth map of 60 to 846 would be four shades of 8 bits."""
    picture, hole = photo(300, 300, "grey", np.uint16), spot(300, 300, (100, 100, 20, 20))
    picture.pixels[:] = np.linspace(60, 846, 300).astype(np.uint16)[None, :, None]
    picture.pixels[hole] = 65535  # what a hole holds does not count
    (crop,) = plan(hole)
    seen, _ = cut(picture, hole, crop)
    known = ~hole[part_of(crop)]
    assert len(np.unique(seen[known])) > 200
    assert (seen[known].min(), seen[known].max()) == (0, 255)
