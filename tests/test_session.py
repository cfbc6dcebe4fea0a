"""The Python interface on arrays."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import lgnet_cli
from lgnet_cli.errors import UsageError

Photo = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def session() -> Iterator[lgnet_cli.Session]:
    with lgnet_cli.Session() as opened:
        yield opened


def hole(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2, width // 4 : width // 2] = True
    return mask


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shape_dtype_known_pixels_and_alpha_are_kept(
    session: lgnet_cli.Session, channels: int | None, dtype: type
) -> None:
    shape = (200, 310) if channels is None else (200, 310, channels)
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    mask = hole(200, 310)
    before = image.copy()
    filled = session.inpaint(image, mask)
    np.testing.assert_array_equal(image, before)
    assert (filled.shape, filled.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    assert (filled[mask] != image[mask]).mean() > 0.5
    if channels == 4:
        np.testing.assert_array_equal(filled[..., 3], image[..., 3])
    if dtype == np.uint16:
        colours = filled[..., :3] if channels else filled
        assert (colours[mask] % 257 != 0).any()  # in the picture's own depth: no 8-bit values made larger


def test_bytes_and_bools_mean_the_same(session: lgnet_cli.Session, photo: Photo) -> None:
    image, mask = photo(), hole(256, 256)
    expected = session.inpaint(image, mask)
    np.testing.assert_array_equal(session.inpaint(image, mask.astype(np.uint8) * 255), expected)
    np.testing.assert_array_equal(session.inpaint(image, mask.astype(np.uint8) * 127), image)  # below 128: no hole
    np.testing.assert_array_equal(lgnet_cli.inpaint(image, mask, backend="onnxruntime"), expected)


@pytest.mark.parametrize("hd", ["crop", "resize", "original"])
def test_every_mode_fills_a_smooth_picture_smoothly(session: lgnet_cli.Session, photo: Photo, hd: str) -> None:
    image, mask = photo(300, 420), hole(300, 420)
    filled = session.inpaint(image, mask, hd=hd)  # type: ignore[arg-type]
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    off = np.abs(filled[mask].astype(int) - image[mask]).mean()
    assert off < 25  # grey levels; filling with mid-grey is off by over 60 on this picture


@pytest.mark.parametrize(
    ("image", "mask", "said"),
    [
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), bool), "float32"),
        (np.zeros((8, 8, 5), np.uint8), np.zeros((8, 8), bool), r"\(8, 8, 5\)"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), bool), r"mask is \(8, 9\)"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.int64), "int64"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8), "astype"),
    ],
)
def test_other_arrays_are_refused(session: lgnet_cli.Session, image: np.ndarray, mask: np.ndarray, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        session.inpaint(image, mask)


@pytest.mark.parametrize("refine", ["texture", "tone", "none"])
def test_every_refinement_is_to_be_had_and_others_are_refused(
    session: lgnet_cli.Session, photo: Photo, refine: str
) -> None:
    image, mask = photo(300, 420), hole(300, 420)
    filled = session.inpaint(image, mask, refine=refine)  # type: ignore[arg-type]
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    np.testing.assert_array_equal(lgnet_cli.inpaint(image, mask, refine=refine), filled)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected one of texture, tone, none"):
        session.inpaint(image, mask, refine=refine.upper())  # type: ignore[arg-type]


def test_too_large_for_original_is_refused(session: lgnet_cli.Session) -> None:
    image = np.zeros((2000, 2000), np.uint8)
    with pytest.raises(UsageError, match="hd='crop'"):
        session.inpaint(image, image.astype(bool) | np.eye(2000, dtype=bool), hd="original")


def test_unknown_attributes_are_unknown() -> None:
    with pytest.raises(AttributeError, match="no attribute 'outpaint'"):
        lgnet_cli.outpaint  # noqa: B018
