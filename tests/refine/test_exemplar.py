"""Texture from around a hole: nothing is invented, and it does not matter where the photo was cut, or if mirrored."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lgnet_cli.refine.exemplar import THIN_HOLE, fill_from_around

Floats = NDArray[np.float32]


def textured(height: int = 200, width: int = 220, channels: int = 3) -> Floats:
    """Bricks with noise: lines to continue, texture to copy."""
    rng = np.random.default_rng(0)
    wall = np.full((height, width), 150, np.float32)
    wall[::20] = 60
    for row in range(0, height, 20):
        wall[row : row + 20, (row // 20 % 2) * 15 :: 30] = 60
    wall = cv2.GaussianBlur(wall, (0, 0), 0.8) + cv2.GaussianBlur(rng.normal(0, 12, wall.shape), (0, 0), 0.7)
    return np.repeat(wall[:, :, None], channels, axis=2).astype(np.float32)


def spot(height: int = 200, width: int = 220) -> NDArray[np.bool_]:
    hole = np.zeros((height, width), bool)
    cv2.ellipse(hole.view(np.uint8), (width // 2, height // 2), (36, 30), 0, 0, 360, 1, -1)
    return hole


def guided(image: Floats, hole: NDArray[np.bool_]) -> Floats:
    """With a smooth fill, such as the network's."""
    return np.where(hole[:, :, None], cv2.GaussianBlur(image, (0, 0), 12).reshape(image.shape), image)


def found(image: Floats, hole: NDArray[np.bool_], **options: object) -> Floats:
    result = fill_from_around(image, hole, ~hole, **options)  # type: ignore[arg-type]
    assert result is not None
    return result


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_wall_goes_on(channels: int) -> None:
    wall, hole = textured(channels=channels), spot()
    smooth = guided(wall, hole)
    filled = found(smooth, hole)
    assert filled.shape == wall.shape
    before, after = (np.abs(picture - wall)[hole].mean() for picture in (smooth, filled))
    assert after < 0.8 * before  # the joints are continued where they were: a smooth fill is further away
    fine = [(p - cv2.GaussianBlur(p, (0, 0), 2).reshape(p.shape))[hole].std() for p in (filled, wall)]
    assert 0.7 < fine[0] / fine[1] < 1.3  # as much texture as there was


@pytest.mark.parametrize(("top", "left"), [(0, 4), (3, 0), (5, 7)])
def test_more_surroundings_elsewhere_change_nothing(top: int, left: int) -> None:
    """The same window, from a photo that was cut otherwise, comes out the same to the last bit."""
    wall, hole = textured(), spot()
    whole = np.pad(guided(wall, hole), ((top, 9), (left, 5), (0, 0)), mode="reflect")
    again = whole[top : top + 200, left : left + 220]
    np.testing.assert_array_equal(found(np.ascontiguousarray(again), hole)[hole], found(guided(wall, hole), hole)[hole])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_photo_comes_out_mirrored(axis: int) -> None:
    wall, hole = textured(), spot()
    hole = hole & np.flip(hole, axis)  # an ellipse of OpenCV's is a pixel off its centre
    filled = found(guided(wall, hole), hole)
    mirrored = np.flip(found(np.ascontiguousarray(np.flip(guided(wall, hole), axis)), np.flip(hole, axis).copy()), axis)
    # Sums in another order may tip single choices between sources that are equally good.
    assert (np.abs(filled - mirrored)[hole].max(axis=1) < 1).mean() > 0.8


def test_no_seed_is_always_the_same_and_seeds_differ() -> None:
    wall, hole = textured(), spot()
    smooth = guided(wall, hole)
    np.testing.assert_array_equal(found(smooth, hole), found(smooth, hole))
    np.testing.assert_array_equal(found(smooth, hole, seed=2), found(smooth, hole, seed=2))
    assert (np.abs(found(smooth, hole, seed=2) - found(smooth, hole))[hole] > 1).any()


def test_only_what_is_known_is_copied() -> None:
    """Another hole beside, which is not filled yet, is no source."""
    wall, hole = textured(), spot()
    other = np.zeros_like(hole)
    other[20:60, 20:200] = True
    image = guided(wall, hole)
    image[other] = 1000
    filled = fill_from_around(image, hole, ~(hole | other))
    assert filled is not None
    assert filled[hole].max() < 260


@pytest.mark.parametrize("shape", [(7, 7), (8, 30), (40, 6), (64, 64)])
def test_nothing_to_copy_is_no_error(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 50, np.float32)
    assert fill_from_around(image, np.ones(shape, bool), np.zeros(shape, bool)) is None


def test_specks_all_around_leave_nothing_to_copy() -> None:
    """No patch is whole at the photo's own size; at half of it the specks are gone, so that many are."""
    wall, hole = textured(), spot()
    hole[::4, ::4] = True
    assert fill_from_around(guided(wall, hole), hole, ~hole) is None


@pytest.mark.parametrize("effort", [None, THIN_HOLE])
def test_black_surroundings_give_black(effort: object) -> None:
    hole = spot()
    filled = found(np.zeros((200, 220, 3), np.float32), hole, **({"effort": effort} if effort else {}))
    assert np.abs(filled[hole]).max() == 0


@pytest.mark.parametrize("box", [np.s_[:40, :40], np.s_[-30:, 50:120], np.s_[:, 100:130], np.s_[80:110, :]])
def test_holes_at_the_photos_border_are_filled(box: tuple[slice, slice]) -> None:
    wall = textured()
    hole = np.zeros(wall.shape[:2], bool)
    hole[box] = True
    filled = found(guided(wall, hole), hole)
    assert filled[hole].min() > 30
    assert filled[hole].max() < 220
