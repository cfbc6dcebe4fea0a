"""Holes whose surroundings are searched at a smaller size: their copies are the photo's own detail all the same."""

from typing import Any

import cv2
import numpy as np
import pytest

from lgnet_cli.imaging.picture import Picture
from lgnet_cli.refine.large import fill_large

CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4, "cmyk": 4}


def wall(kind: str, dtype: type) -> np.ndarray:
    """Bricks with fine grain, which no smaller size has."""
    rng = np.random.default_rng(0)
    levels = np.full((500, 620), 150, np.float32)
    levels[::40] = 60
    for row in range(0, 500, 40):
        levels[row : row + 40, (row // 40 % 2) * 30 :: 60] = 60
    levels = cv2.GaussianBlur(levels, (0, 0), 2) + rng.normal(0, 9, levels.shape)
    unit = np.iinfo(dtype).max / 255
    return np.repeat((levels.clip(0, 255) * unit)[:, :, None], CHANNELS[kind], axis=2).astype(dtype)


@pytest.mark.parametrize("box", [(slice(170, 301), slice(200, 371)), (slice(381, 500), slice(477, 620))])
@pytest.mark.parametrize(
    ("kind", "dtype"), [("rgb", np.uint8), ("grey", np.uint16), ("rgba", np.uint16), ("cmyk", np.uint8)]
)
def test_the_hole_gets_the_photos_own_detail(kind: Any, dtype: type, box: tuple[slice, slice]) -> None:
    pixels, hole = wall(kind, dtype), np.zeros((500, 620), bool)
    hole[box] = True
    smooth = cv2.GaussianBlur(pixels, (0, 0), 25).reshape(pixels.shape)
    picture = Picture(np.where(hole[:, :, None], smooth, pixels), kind, "PNG", True, b"", b"")
    if kind == "rgba":
        picture.pixels[:, :, 3] = pixels[:, :, 3]
    window = (
        slice(box[0].start - 101, min(box[0].stop + 99, 500)),
        slice(box[1].start - 110, min(box[1].stop + 110, 620)),
    )
    fill_large(picture, hole, window, box, hole[box], 0)
    np.testing.assert_array_equal(picture.pixels[~hole], pixels[~hole])
    filled, truth = (p[box][..., 0].astype(np.float32) * (255 / np.iinfo(dtype).max) for p in (picture.pixels, pixels))
    fine = [(p - cv2.GaussianBlur(p, (0, 0), 1))[:-2, :-2].std() for p in (filled, truth)]
    assert 0.8 < fine[0] / fine[1] < 1.25
    if kind == "rgba":
        np.testing.assert_array_equal(picture.pixels[..., 3], pixels[..., 3])


def test_nothing_to_copy_leaves_the_networks_fill() -> None:
    pixels = np.full((120, 130, 3), 77, np.uint8)
    picture = Picture(pixels.copy(), "rgb", "PNG", True, b"", b"")
    everything = np.ones((120, 130), bool)
    box = slice(0, 120), slice(0, 130)
    fill_large(picture, everything, box, box, everything, 0)
    np.testing.assert_array_equal(picture.pixels, pixels)
