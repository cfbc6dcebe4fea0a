"""Each figure of `lgnet bench quality --native` by hand, and the holes and windows that it is taken of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_cli.benchmarks.native_holes import WINDOW, WINDOWS, Window, split, window_on, windows_of
from lgnet_cli.benchmarks.native_masks import LEAST, object_text_scratch
from lgnet_cli.benchmarks.native_metrics import CELL, REACH, fine_band_share, psnr_in, rim_of, rim_step


def grey(level: float, height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def box(top: int, left: int, height: int, width: int, shape: tuple[int, int] = (200, 300)) -> np.ndarray:
    hole = np.zeros(shape, bool)
    hole[top : top + height, left : left + width] = True
    return hole


def noisy(deviation: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, (200, 300, 1))
    return np.rint(128 + noise).clip(0, 255).astype(np.uint8).repeat(3, axis=2)


def test_half_the_grain_is_half_the_fine_band() -> None:
    hole, original = box(40, 60, 120, 160), noisy(16)
    assert fine_band_share(original, original, hole) == 1
    half = fine_band_share(noisy(8, seed=1), original, hole)
    assert half == pytest.approx(0.5, rel=0.03)  # 15,000 pixels of noise, rounded to 8 bits
    assert fine_band_share(grey(128), original, hole) == 0


def test_the_fine_band_sees_neither_slow_shades_nor_what_is_outside() -> None:
    hole, original = box(40, 60, 120, 160), noisy(16)
    shaded = (noisy(16).astype(int) + np.linspace(-40, 40, 300).astype(int)[None, :, None]).clip(0, 255)
    assert fine_band_share(shaded.astype(np.uint8), original, hole) == pytest.approx(1, rel=0.02)
    outside = np.where(hole[:, :, None], original, grey(0))
    assert fine_band_share(outside, original, hole) == 1


def test_there_is_no_fine_band_where_there_is_nothing_to_compare() -> None:
    assert fine_band_share(noisy(16), grey(90), box(40, 60, 120, 160)) is None  # the original is flat
    assert fine_band_share(noisy(16), noisy(16), box(40, 60, 2 * REACH, 160)) is None  # too narrow
    assert fine_band_share(noisy(16), noisy(16), np.zeros((200, 300), bool)) is None


def test_psnr_is_of_the_part_alone() -> None:
    filled = grey(100)
    filled[0, 0] = 110  # one pixel of two: a mean square of 50
    part = box(0, 0, 1, 2)
    assert psnr_in(filled, grey(100), part) == pytest.approx(20 * np.log10(255) - 10 * np.log10(50))
    assert psnr_in(filled, grey(100), box(5, 5, 9, 9)) == 100
    assert psnr_in(filled, grey(100), np.zeros((200, 300), bool)) is None


def test_a_scratch_that_is_ten_levels_too_bright_steps_by_ten() -> None:
    scratch = box(100, 10, 4, 280)
    rim = rim_of(scratch, scratch)
    assert rim_step(grey(100), rim) == 0
    tinted = np.where(scratch[:, :, None], np.array((110, 100, 97), np.uint8), grey(100))
    assert rim_step(tinted, rim) == pytest.approx((10 + 0 + 3) / 3)


def test_noise_cancels_in_the_step_and_pieces_do_not() -> None:
    scratch = box(94, 0, 4, 4 * CELL, (192, 4 * CELL))
    rim = rim_of(scratch, scratch)
    rng = np.random.default_rng(0)
    noise = rng.normal(120, 12, (192, 4 * CELL, 3)).astype(np.uint8)
    assert 0 < (quiet := rim_step(noise, rim) or 0) < 2  # 12 over the root of some 200 pixels, twice
    halves = noise.copy()
    halves[94:98, : 2 * CELL] += 20
    halves[94:98, 2 * CELL :] -= 20
    assert rim_step(halves, rim) == pytest.approx(20, abs=2 * quiet)


def test_the_step_is_of_three_pixels_a_side_and_never_of_other_holes() -> None:
    thin, other = box(60, 100, 20, 100), box(82, 100, 60, 100)
    rim = rim_of(thin | other, thin)
    picture = grey(100)
    picture[63:77, 103:197] = 0  # deeper in the hole
    picture[other] = 255
    picture[:57], picture[:, :97], picture[:, 203:] = 30, 30, 30  # farther away
    assert rim_step(picture, rim) == 0
    picture[60:63, 100:200] = 130
    assert (rim_step(picture, rim) or 0) > 5
    assert rim_step(picture, rim_of(other, np.zeros_like(thin))) is None


def test_holes_are_told_apart_by_depth() -> None:
    large, smaller, scratch = box(20, 20, 90, 90), box(20, 200, 60, 60), box(150, 10, 6, 280)
    parts = split(large | smaller | scratch)
    np.testing.assert_array_equal(parts.large, large)
    np.testing.assert_array_equal(parts.thin, scratch)
    only = split(scratch)
    assert not only.large.any()
    np.testing.assert_array_equal(only.thin, scratch)


def test_windows_lie_on_the_holes_and_in_the_photo() -> None:
    shape = (1500, 3000)
    large, text = box(1100, 100, 300, 400, shape), box(60, 1200, 40, 1000, shape)
    found = windows_of(large | text, large)
    assert found[0] == Window(44, 1500 - WINDOW, WINDOW, WINDOW)  # shifted up into the photo
    assert all(w.left >= 0 and w.top >= 0 and w.left + w.width <= 3000 and w.top + w.height <= 1500 for w in found)
    seen = np.zeros(shape, bool)
    for window in found:
        seen[window.part] = True
    assert len(found) <= WINDOWS
    assert (seen & text).sum() > 0.9 * text.sum()
    assert windows_of(text, np.zeros(shape, bool))[0].top == 0
    assert window_on((10, 10, 5, 5), (100, 600)) == Window(0, 0, WINDOW, 100)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(LEAST, LEAST), (200, 150), (321, 481), (1200, 700), (300, 2000)]),
)
def test_made_up_masks_have_one_object_and_thin_holes_apart_and_inside(seed: int, shape: tuple[int, int]) -> None:
    hole = object_text_scratch(np.random.default_rng(seed), *shape)
    np.testing.assert_array_equal(hole, object_text_scratch(np.random.default_rng(seed), *shape))
    assert hole.shape == shape
    assert not any(edge.any() for edge in (hole[0], hole[-1], hole[:, 0], hole[:, -1]))
    parts = split(hole)
    assert parts.large.any()
    np.testing.assert_array_equal(parts.large | parts.thin, hole)  # nothing else is thick
    assert 0.01 < parts.large.sum() / min(shape) ** 2 < 0.09  # a square of 0.3 of the shorter side
    assert 0.0005 < parts.thin.sum() / min(shape) ** 2 < 0.06


def test_seeds_and_photos_have_masks_of_their_own() -> None:
    masks = [object_text_scratch(np.random.default_rng([seed, n]), 300, 300) for seed in (0, 1) for n in (0, 1)]
    assert not any((a == b).all() for i, a in enumerate(masks) for b in masks[:i])
