"""Made-up blobs look like objects, and as many masks hold them as is said."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_cli.imaging.strokes import BUCKETS, OBJECTS, fill_outline, outline, random_hole


def drawn(seed: int, side: int) -> np.ndarray:
    """One blob in the middle of twice its size."""
    canvas = np.zeros((2 * side, 2 * side), np.uint8)
    fill_outline(canvas, outline(np.random.default_rng(seed)) * (side - 1) + side // 2)
    return canvas


@given(seed=st.integers(0, 10**6), side=st.sampled_from([32, 200, 650]))
def test_a_blob_is_one_closed_hole_of_the_size_asked_for(seed: int, side: int) -> None:
    canvas = drawn(seed, side)
    _, _, width, height = cv2.boundingRect(canvas)
    assert abs(max(width, height) - side) <= 1  # the edge is rounded to pixels
    assert cv2.connectedComponents(canvas, connectivity=4)[0] == 2  # what is known, and one hole
    assert cv2.connectedComponents(1 - canvas, connectivity=4)[0] == 2  # no island in it
    depth = cv2.distanceTransform(canvas, cv2.DIST_L2, 5).max()
    assert depth > 0.14 * side  # thick: a circle has 0.5, an ellipse twice as long as wide 0.25
    np.testing.assert_array_equal(canvas, drawn(seed, side))


@pytest.mark.parametrize("seed", range(12))
def test_a_blob_is_smooth(seed: int) -> None:
    """Opening and closing with a disc take off corners and fill notches: of a rectangle 0.9 %, of strokes far more."""
    canvas = drawn(seed, 300)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (19, 19))
    for how in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        changed = np.count_nonzero(cv2.morphologyEx(canvas, how, disc) != canvas)
        assert changed < 0.004 * np.count_nonzero(canvas)


def has_rectangle(hole: np.ndarray) -> bool:
    stats = cv2.connectedComponentsWithStats(hole.astype(np.uint8))[2][1:]
    return bool((stats[:, cv2.CC_STAT_AREA] == stats[:, cv2.CC_STAT_WIDTH] * stats[:, cv2.CC_STAT_HEIGHT]).any())


def test_as_many_masks_hold_blobs_alone_as_is_said() -> None:
    """Which masks do is told by a generator that draws the same first number."""
    count = 400
    objects = [np.random.default_rng(seed).random() < OBJECTS for seed in range(count)]
    assert np.mean(objects) == pytest.approx(OBJECTS, abs=0.07)  # three deviations of 400 throws
    holes = [random_hole(np.random.default_rng(seed), 128, BUCKETS[0], inside=True) for seed in range(count)]
    assert not any(has_rectangle(hole) for hole, only in zip(holes, objects, strict=True) if only)
    others = [has_rectangle(hole) for hole, only in zip(holes, objects, strict=True) if not only]
    rngs = map(np.random.default_rng, range(count))
    strokes = [random_hole(rng, 128, BUCKETS[0], inside=True, objects=0) for rng in rngs]
    assert all((a == b).all() for a, b, only in zip(holes, strokes, objects, strict=True) if not only)
    assert np.mean(others) > 0.2  # 0.3 are drawn, and fit the smallest bucket more often than strokes do
