"""Which pixels of a mask file are holes."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lgnet_cli.errors import FileError, MaskError, UsageError
from lgnet_cli.imaging import labels
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.masks import MaskOptions, as_bytes, dilated, read_mask
from lgnet_cli.imaging.picture import Picture

Mask = NDArray[np.uint8]
ORIENTATION = 274


def photo(height: int, width: int, turned: int = 1) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), "rgb", "JPEG", False, b"", b"", turned)


def holed(height: int = 20, width: int = 30) -> Mask:
    """255 in two rectangles that no flip or turn maps to themselves."""
    mask = np.zeros((height, width), np.uint8)
    mask[2:6, 3:11] = 255
    mask[12:15, 20:22] = 255
    return mask


def written(folder: Path, mask: Mask, name: str = "mask.png", **options: Any) -> Path:
    Image.fromarray(mask).save(folder / name, **options)
    return folder / name


def turned_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def test_white_is_hole(tmp_path: Path) -> None:
    hole = read_mask(written(tmp_path, holed()), photo(20, 30), MaskOptions())
    np.testing.assert_array_equal(hole, holed() > 0)


def test_black_is_hole_if_asked(tmp_path: Path) -> None:
    hole = read_mask(written(tmp_path, holed()), photo(20, 30), MaskOptions(polarity="black-hole"))
    np.testing.assert_array_equal(hole, holed() == 0)


@pytest.mark.parametrize("threshold", [1, 2, 128, 255])
@pytest.mark.parametrize("bits", [8, 16])
def test_threshold_itself_is_white(threshold: int, bits: int, tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    mask = levels if bits == 8 else levels.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    hole = read_mask(tmp_path / "mask.png", photo(8, 32), MaskOptions(threshold=threshold))
    np.testing.assert_array_equal(hole, levels >= threshold)


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "LA", "CMYK", "I;16"])
def test_same_holes_from_every_mode(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(holed())
    image = Image.fromarray(holed().astype(np.uint16) * 257) if mode == "I;16" else image.convert("RGB").convert(mode)
    image.save(tmp_path / "mask.tif")
    hole = read_mask(tmp_path / "mask.tif", photo(20, 30), MaskOptions())
    np.testing.assert_array_equal(hole, holed() > 0)


def test_palette_mask_is_judged_by_its_colours(tmp_path: Path) -> None:
    """Segmentation tools number regions: index 1 may be white, and index 255 black."""
    image = Image.fromarray(holed() // 255).convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255] + [0] * 762)
    image.save(tmp_path / "mask.png")
    hole = read_mask(tmp_path / "mask.png", photo(20, 30), MaskOptions())
    np.testing.assert_array_equal(hole, holed() > 0)


def test_noise_of_jpeg_masks_is_cut_off(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:46, 11:34] = 255  # edges off the grid of 8 x 8 blocks ring
    path = written(tmp_path, mask, "mask.jpg", quality=60)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2  # it is noisy
    np.testing.assert_array_equal(read_mask(path, photo(64, 64), MaskOptions()), mask > 0)


@pytest.mark.parametrize("polarity", ["white-hole", "black-hole"])
def test_transparent_is_white_of_alpha(polarity: Any, tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    rgba[:, :, 3] = 255 - holed()
    path = written(tmp_path, rgba)
    hole = read_mask(path, photo(20, 30), MaskOptions(source="alpha", polarity=polarity))
    np.testing.assert_array_equal(hole, (holed() > 0) == (polarity == "white-hole"))


def test_alpha_of_16_bits(tmp_path: Path) -> None:
    rgba = np.full((20, 30, 4), 9000, np.uint16)
    rgba[:, :, 3] = (255 - holed()).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "mask.png"), rgba)
    hole = read_mask(tmp_path / "mask.png", photo(20, 30), MaskOptions(source="alpha"))
    np.testing.assert_array_equal(hole, holed() > 0)


def test_alpha_is_ignored_where_luminance_is_asked(tmp_path: Path) -> None:
    path = written(tmp_path, np.dstack([holed(), 255 - holed().T.reshape(20, 30)]))
    np.testing.assert_array_equal(read_mask(path, photo(20, 30), MaskOptions()), holed() > 0)


@pytest.mark.parametrize("colour", [0, 255])
def test_mask_that_only_alpha_tells_apart_is_refused(colour: int, tmp_path: Path) -> None:
    path = written(tmp_path, np.dstack([np.full((20, 30), colour, np.uint8), holed()]))
    with pytest.raises(MaskError, match=r"mask\.png: one colour everywhere") as raised:
        read_mask(path, photo(20, 30), MaskOptions())
    assert "--mask-from alpha" in raised.value.mend


@pytest.mark.parametrize("value", [0, 255])
def test_mask_of_one_colour_and_full_alpha_is_taken(value: int, tmp_path: Path) -> None:
    rgba = np.full((20, 30, 4), value, np.uint8)
    rgba[:, :, 3] = 255
    hole = read_mask(written(tmp_path, rgba), photo(20, 30), MaskOptions())
    assert hole.all() == hole.any() == bool(value)


def test_alpha_source_without_alpha_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"mask\.png: has no alpha") as raised:
        read_mask(written(tmp_path, holed()), photo(20, 30), MaskOptions(source="alpha"))
    assert "--mask-from" in raised.value.mend


def test_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"mask\.png: is 30 x 20, its image 60 x 41") as raised:
        read_mask(written(tmp_path, holed()), photo(41, 60), MaskOptions())
    assert "--resize-masks" in raised.value.mend


@pytest.mark.parametrize("factor", [2, 3])
def test_resize_is_nearest(factor: int, tmp_path: Path) -> None:
    path = written(tmp_path, holed())
    hole = read_mask(path, photo(20 * factor, 30 * factor), MaskOptions(resize=True))
    np.testing.assert_array_equal(hole, np.kron(holed(), np.ones((factor, factor), np.uint8)) > 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_resize_gives_the_size_of_the_image(tmp_path_factory: pytest.TempPathFactory, height: int, width: int) -> None:
    path = tmp_path_factory.getbasetemp() / "resized.png"
    if not path.exists():
        written(path.parent, holed(), path.name)
    assert read_mask(path, photo(height, width), MaskOptions(resize=True)).shape == (height, width)


@pytest.mark.parametrize("radius", [1, 2, 3, 7, 20])
def test_single_pixel_grows_to_a_disc(radius: int) -> None:
    hole = np.zeros((61, 61), bool)
    hole[30, 30] = True
    y, x = np.mgrid[-30:31, -30:31]
    distance = np.hypot(y, x)
    grown = dilated(hole, radius)
    # A disc of pixels is drawn with its rim rounded: up to one pixel inside or outside the circle.
    assert grown[distance <= radius - 1].all()
    assert not grown[distance > radius + 1].any()
    assert grown[30, 30 - radius]
    assert grown[30 + radius, 30]


def test_holes_grow_before_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, holed())
    kept = read_mask(path, photo(20, 30), MaskOptions(dilate=0))
    np.testing.assert_array_equal(kept, holed() > 0)
    grown = read_mask(path, photo(20, 30), MaskOptions(polarity="black-hole", dilate=1))
    np.testing.assert_array_equal(~grown, cv2.erode(holed(), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)) > 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_mask_is_turned_by_its_own_orientation(orientation: int, tmp_path: Path) -> None:
    path = written(tmp_path, holed(), exif=turned_exif(orientation))
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    hole = read_mask(path, photo(*wanted.shape), MaskOptions())
    np.testing.assert_array_equal(hole, wanted > 0)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_mask_drawn_on_stored_pixels_is_turned_with_them(orientation: int, tmp_path: Path) -> None:
    exif = turned_exif(orientation)
    Image.fromarray(holed()).save(tmp_path / "photo.png", exif=exif)
    picture = decode((tmp_path / "photo.png").read_bytes(), tmp_path / "photo.png")
    hole = read_mask(written(tmp_path, holed()), picture, MaskOptions())
    np.testing.assert_array_equal(hole, picture.pixels[:, :, 0] > 0)  # photo and mask show the same


@pytest.mark.parametrize("orientation", [3, 6])
def test_mask_drawn_on_shown_pixels_stays(orientation: int, tmp_path: Path) -> None:
    hole = read_mask(written(tmp_path, holed()), photo(20, 30, turned=orientation), MaskOptions())
    np.testing.assert_array_equal(hole, holed() > 0)


def test_square_mask_of_a_turned_photo_is_taken_as_shown(tmp_path: Path) -> None:
    mask = holed(30, 30)
    hole = read_mask(written(tmp_path, mask), photo(30, 30, turned=6), MaskOptions())
    np.testing.assert_array_equal(hole, mask > 0)


def test_broken_mask_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"no picture")
    with pytest.raises(FileError, match=r"mask\.png"):
        read_mask(path, photo(20, 30), MaskOptions())


def test_engines_get_255_for_holes() -> None:
    assert as_bytes(np.array([[True, False]])).tolist() == [[255, 0]]
    assert as_bytes(np.array([[True, False]])).dtype == np.uint8


def labelled(kind: str, folder: Path) -> Path:
    """A mask with marks that are no white ones: 3 where `holed` is, 1 in a corner, 0 elsewhere; or in colours."""
    marks = np.where(holed() > 0, 3, 0).astype(np.uint8)
    marks[17:, 26:] = 1
    if kind == "16 bit":
        return written(folder, marks.astype(np.uint16))
    if kind == "palette":
        image = Image.fromarray(marks).convert("P")
        image.putpalette([0, 0, 0, 0, 0, 90, 0, 0, 0, 120, 0, 0])
        image.save(folder / "mask.png")
        return folder / "mask.png"
    if kind in ("colour", "colour with alpha"):
        colours = np.array([[0, 0, 0], [0, 0, 90], [0, 0, 0], [120, 0, 0]], np.uint8)[marks]
        alpha = [np.full((20, 30), 255, np.uint8)] if "alpha" in kind else []
        return written(folder, np.dstack([colours, *alpha]))
    return written(folder, marks * 30 if kind == "grey" else marks)


KINDS = ["labels", "16 bit", "palette", "colour", "colour with alpha", "grey"]


@pytest.mark.parametrize("kind", KINDS)
def test_marks_of_which_none_is_a_hole_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"mask.png: has marks, but no hole\n.*--mask-values auto"):
        read_mask(labelled(kind, tmp_path), photo(20, 30), MaskOptions())


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_mask_of_one_value_says_what_it_says(value: int, tmp_path: Path) -> None:
    mask = written(tmp_path, np.full((20, 30), value, np.uint8))
    assert read_mask(mask, photo(20, 30), MaskOptions()).all() == (value == 255)


def test_white_marks_alone_are_refused_where_black_is_a_hole(tmp_path: Path) -> None:
    mask = written(tmp_path, (holed() // 2 + 128).astype(np.uint8))
    with pytest.raises(MaskError, match="has marks, but no hole"):
        read_mask(mask, photo(20, 30), MaskOptions(polarity="black-hole"))


@pytest.mark.parametrize("kind", KINDS)
def test_auto_takes_all_that_is_not_black(kind: str, tmp_path: Path) -> None:
    wanted = holed() > 0
    wanted[17:, 26:] = True
    hole = read_mask(labelled(kind, tmp_path), photo(20, 30), MaskOptions(values="auto"))
    np.testing.assert_array_equal(hole, wanted)


@pytest.mark.parametrize(("kind", "values"), [
    ("labels", "3"), ("16 bit", "3"), ("palette", "3"), ("palette", "#780000"), ("colour", "#780000"), ("grey", "90"),
    ("labels", "2, 3"), ("colour with alpha", "#780000"),
])  # fmt: skip
def test_a_label_or_a_colour_is_taken_alone(kind: str, values: str, tmp_path: Path) -> None:
    hole = read_mask(labelled(kind, tmp_path), photo(20, 30), MaskOptions(values=values))
    np.testing.assert_array_equal(hole, holed() > 0)


def test_colours_have_no_labels(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="has no labels"):
        read_mask(labelled("colour", tmp_path), photo(20, 30), MaskOptions(values="3"))


@pytest.mark.parametrize("values", ["3", "1,2", "auto", "#00ff00", "", "1,#00ff00"])
def test_values_that_can_be_read(values: str) -> None:
    labels.check(values)


@pytest.mark.parametrize("values", ["red", "-1", "#00f", "1;2", "#gg0000", "auto,1", "1,"])
def test_values_that_cannot_be_read_are_refused(values: str) -> None:
    with pytest.raises(UsageError, match="expected auto"):
        labels.check(values)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("width", [20, 30])
def test_a_mask_drawn_on_stored_pixels_is_turned_if_it_is_said(orientation: int, width: int, tmp_path: Path) -> None:
    drawn = holed(20, width)
    shown = np.asarray(ImageOps.exif_transpose(with_orientation(drawn, orientation)))
    image = photo(*shown.shape, turned=orientation)
    mask = written(tmp_path, drawn)
    hole = read_mask(mask, image, MaskOptions(drawn_on="stored"))
    np.testing.assert_array_equal(hole, shown > 0)
    assert image.notes == ()


def with_orientation(mask: Mask, orientation: int) -> Image.Image:
    image = Image.fromarray(mask)
    image.getexif()[ORIENTATION] = orientation
    return image


@pytest.mark.parametrize(("orientation", "width", "doubtful"), [
    (1, 30, False), (2, 30, True), (3, 30, True), (4, 30, True), (6, 20, True), (8, 20, True), (6, 30, False),
])  # fmt: skip
def test_a_mask_that_may_have_been_drawn_on_either_is_noted(
    orientation: int, width: int, doubtful: bool, tmp_path: Path
) -> None:
    height, wide = (width, 20) if orientation >= 5 else (20, width)
    image = photo(height, wide, turned=orientation)
    mask = holed(height, wide)
    np.testing.assert_array_equal(read_mask(written(tmp_path, mask), image, MaskOptions()), mask > 0)
    assert ["--mask-drawn-on stored" in note for note in image.notes] == [True] * doubtful
    image.notes = ()
    read_mask(tmp_path / "mask.png", image, MaskOptions(drawn_on="shown"))
    assert image.notes == ()


@pytest.mark.parametrize("said", [1, 3, 6])
@pytest.mark.parametrize("drawn_on", ["auto", "stored"])
def test_a_mask_with_an_orientation_of_its_own_is_not_turned_again(said: int, drawn_on: Any, tmp_path: Path) -> None:
    image = photo(30, 30, turned=said if said > 1 else 6)
    upright = np.asarray(ImageOps.exif_transpose(with_orientation(holed(30, 30), said)))
    mask = written(tmp_path, holed(30, 30), exif=turned_exif(said))
    np.testing.assert_array_equal(read_mask(mask, image, MaskOptions(drawn_on=drawn_on)), upright > 0)
    assert image.notes == ()
