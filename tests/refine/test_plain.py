"""Plain surroundings are told from others, and carried on within a level, with grain of the same strength."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lgnet_cli.refine.plain import depth_of, fill_plain, is_plain, slope

SHAPES = {
    "spot": np.s_[60:90, 70:110],
    "scratch": np.s_[74:78, 10:140],
    "corner": np.s_[:40, :40],
    "edge": np.s_[100:, 30:80],
    "column": np.s_[:, 60:70],
}


def hole_of(shape: str) -> NDArray[np.bool_]:
    hole = np.zeros((150, 160), bool)
    hole[SHAPES[shape]] = True
    return hole


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    start=st.tuples(*[st.integers(0, 255)] * 3),
    down=st.integers(-80, 80).map(lambda percent: percent / 100),
    right=st.integers(-80, 80).map(lambda percent: percent / 100),
)
def test_even_and_graded_grounds_come_back_within_a_level(
    shape: str, start: tuple[float, ...], down: float, right: float
) -> None:
    y, x = np.mgrid[:150, :160]
    ground = np.rint(np.array(start) + down * y[:, :, None] + right * x[:, :, None]).astype(np.float32)
    hole = hole_of(shape)
    image = np.where(hole[:, :, None], np.float32(1e4), ground)  # what a hole holds must not count
    assert is_plain(image, hole, ~hole)
    np.testing.assert_allclose(np.rint(fill_plain(image, hole, ~hole))[hole], ground[hole], rtol=0, atol=1)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_grain_is_as_strong_as_around_and_another_seed_gives_another(shape: str) -> None:
    rng = np.random.default_rng(0)
    hole = hole_of(shape)
    image = (100 + rng.normal(0, 1.2, (150, 160, 3))).astype(np.float32)
    assert is_plain(image, hole, ~hole)
    filled = fill_plain(image, hole, ~hole, seed=3)
    assert filled[hole].std() == pytest.approx(1.2, rel=0.35)  # a sample of a few hundred pixels
    np.testing.assert_array_equal(filled, fill_plain(image, hole, ~hole, seed=3))
    assert np.abs(filled - fill_plain(image, hole, ~hole, seed=4))[hole].max() > 1


def test_edges_and_texture_are_not_plain() -> None:
    hole, rng = hole_of("spot"), np.random.default_rng(0)
    edge = np.full((150, 160, 3), 80, np.float32)
    edge[:, 90:] = 120
    assert not is_plain(edge, hole, ~hole)
    assert not is_plain(rng.normal(100, 15, (150, 160, 3)).astype(np.float32), hole, ~hole)


def test_too_little_around_is_not_plain() -> None:
    hole = np.ones((30, 30), bool)
    hole[0, :10] = False
    assert not is_plain(np.zeros((30, 30, 1), np.float32), hole, ~hole)


def test_a_plane_is_found_and_the_deepest_pixel_too() -> None:
    y, x = np.mgrid[:20, :30].astype(np.float32)
    plane = (5 + 2 * y - 3 * x)[:, :, None]
    np.testing.assert_allclose(slope(plane, np.ones((20, 30), bool)), plane, atol=1e-3)
    hole = np.zeros((20, 30), bool)
    hole[4:13, 10:25] = True
    assert depth_of(hole) == pytest.approx(5, rel=0.05)  # OpenCV's 3 x 3 distances are good to a few percent
