"""The Python interface on arrays."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

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


def test_the_program_around_a_session_stays_as_it_is() -> None:
    code = """
import warnings
import cv2
import numpy as np
from PIL import Image

def state():
    cv2s = cv2.utils.logging.getLogLevel(), cv2.getNumThreads()
    return Image.MAX_IMAGE_PIXELS, list(warnings.filters), cv2s, np.geterr()

before = state()
import lgnet_cli
with lgnet_cli.Session() as session:
    session.inpaint(np.zeros((40, 40, 3), np.uint8), np.eye(40, dtype=bool))
assert state() == before, (before, state())
"""
    neutral = Path(__file__).parent  # not the root, whose folder Python would take for the package
    done = subprocess.run([sys.executable, "-c", code], cwd=neutral, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [
    {"hd": "foo"}, {"hd": None}, {"hd": ["crop"]}, {"crop_margin": -1}, {"crop_margin": None}, {"crop_margin": 1.5},
    {"crop_margin": 10**9}, {"crop_margin": True}, {"merge_crops": "no"}, {"merge_crops": None},
])  # fmt: skip
def test_options_of_other_values_are_refused(session: lgnet_cli.Session, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        session.inpaint(np.zeros((9, 9, 3), np.uint8), np.eye(9, dtype=bool), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [
    None, "photo.jpg", [[1, 2], [3, 4]], 7, Image.new("P", (9, 9)), Image.new("CMYK", (9, 9)),
    np.zeros((0, 9, 3), np.uint8), torch.zeros((9, 9, 3)),
])  # fmt: skip
def test_what_is_no_picture_is_refused(session: lgnet_cli.Session, image: object) -> None:
    with pytest.raises(UsageError, match="image is"):
        session.inpaint(image, np.eye(9, dtype=bool))
    with pytest.raises(UsageError, match=r"image|mask"):
        session.inpaint(np.zeros((9, 9, 3), np.uint8), image)


def test_pillows_pictures_and_tensors_are_taken(session: lgnet_cli.Session, photo: Photo) -> None:
    image, mask = photo(), hole(256, 256)
    expected = session.inpaint(image, mask)
    np.testing.assert_array_equal(session.inpaint(Image.fromarray(image), Image.fromarray(mask)), expected)
    np.testing.assert_array_equal(session.inpaint(torch.from_numpy(image), torch.from_numpy(mask)), expected)
    np.testing.assert_array_equal(session.inpaint(image, Image.fromarray(mask.astype(np.uint8) * 255)), expected)


def test_a_closed_session_says_so() -> None:
    with lgnet_cli.Session() as opened:
        pass
    opened.close()
    with pytest.raises(UsageError, match="closed"):
        opened.inpaint(np.zeros((9, 9, 3), np.uint8), np.eye(9, dtype=bool))
