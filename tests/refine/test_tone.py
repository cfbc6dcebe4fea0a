"""The fill gets the tone of its surroundings, at the network's size and across an enlarged fill's border."""

import numpy as np
import pytest

from lgnet_cli.imaging.masks import border_of
from lgnet_cli.refine.tone import matched, toned


def test_a_fill_that_is_off_by_a_constant_is_brought_back() -> None:
    rng = np.random.default_rng(0)
    image = np.full((64, 64, 3), 120, np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 15:50] = True
    drawn = np.full_like(image, 111)
    image[hole] = rng.integers(0, 256, (int(hole.sum()), 3))  # what a hole holds must not count
    result = toned(image, hole, drawn)
    np.testing.assert_array_equal(result[~hole], image[~hole])
    np.testing.assert_allclose(result[hole], 120, rtol=0, atol=0.1)  # what two V-cycles leave


def test_a_perfect_drawing_stays() -> None:
    """The membrane through a smooth picture is the picture but for a fraction of its curvature."""
    y, x = np.mgrid[:64, :64]
    image = np.repeat((100 + x + y / 2)[:, :, None], 3, axis=2).astype(np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 15:50] = True
    np.testing.assert_allclose(toned(image, hole, image)[hole], image[hole], rtol=0, atol=1)


def test_only_the_border_and_the_hole_are_looked_at() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    hole = np.zeros((50, 60), bool)
    hole[10:30, 20:45] = True
    drawn = rng.integers(0, 256, image.shape, dtype=np.uint8)
    other = np.where((hole | border_of(hole))[:, :, None], drawn, image)
    np.testing.assert_array_equal(toned(image, hole, drawn), toned(image, hole, other))


def test_no_hole_and_nothing_but_hole() -> None:
    image, drawn = np.full((20, 20, 3), 9, np.uint8), np.full((20, 20, 3), 200, np.uint8)
    np.testing.assert_array_equal(toned(image, np.zeros((20, 20), bool), drawn), image)
    # Nothing is known, so that nothing says what is off; the network's drawing stays as it is.
    np.testing.assert_array_equal(toned(image, np.ones((20, 20), bool), drawn), drawn)


@pytest.mark.parametrize("scale", [1.0, 2.0, 5.3, 12.0])
def test_an_enlarged_fill_meets_the_photo_across_its_border(scale: float) -> None:
    image = np.full((300, 300, 3), 140, np.float32)
    hole = np.zeros((300, 300), bool)
    hole[80:220, 90:200] = True
    image[hole] = 0
    fill = np.full_like(image, 125)
    # A level and a half at the very edge, where the step is computed smaller than the photo.
    np.testing.assert_allclose(matched(image, hole, fill, scale)[hole], 140, rtol=0, atol=1.5)
