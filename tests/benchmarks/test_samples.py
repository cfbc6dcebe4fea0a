"""Photos made square, and masks in the buckets that their set names."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lgnet_cli.benchmarks.samples import (
    LABELS,
    MadeUp,
    Photo,
    bucket_of,
    each_bucket,
    find_photos,
    read_photo,
    same_name,
    square,
    square_hole,
)  # fmt: skip
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import NothingToDo, UsageError
from lgnet_cli.imaging.masks import MaskOptions
from lgnet_cli.imaging.strokes import BUCKETS, random_hole

Folders = Callable[..., tuple[Path, Path]]


def photos_of(folder: Path) -> list[Photo]:
    return find_photos(folder)


def test_buckets_are_open_below_and_closed_above() -> None:
    assert LABELS == ("1-10", "10-20", "20-30", "30-40", "40-50", "50-60")
    shares = [0.0, 0.01, 0.0101, 0.1, 0.1001, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6001]
    found = [bucket_of(share) for share in shares]
    assert found == [None, None, "1-10", "1-10", "10-20", "10-20", "20-30", "30-40", "40-50", "50-60", None]


def test_a_mask_sets_nominal_buckets_hold_at_the_size_evaluated(tmp_path: Path, folders: Folders) -> None:
    """A set laid out as NVIDIA's: 512 x 512, white = hole, so many a bucket in the order of their names."""
    sets = tmp_path / "set"
    sets.mkdir()
    for number in range(12):
        lo, hi = BUCKETS[number // 2]
        inner = (lo + 0.005, hi - 0.005)  # halving the size moves a border pixel here and there
        hole = random_hole(np.random.default_rng(number), 512, inner)
        cv2.imwrite(str(sets / f"{number:05}.png"), hole.astype(np.uint8) * 255)
    images, _ = folders(3)
    masks = each_bucket(sets, 256, MaskOptions(), workers=2)
    nominal = {label: [sets / f"{2 * i:05}.png", sets / f"{2 * i + 1:05}.png"] for i, label in enumerate(LABELS)}
    assert masks.files == nominal
    for photo in photos_of(images):
        samples = list(masks.of(photo, read_photo(photo), 256))
        assert [s.bucket for s in samples] == list(LABELS)
        assert [s.place for s in samples] == [f"{label}/{photo.number:03}" for label in LABELS]
        assert all(bucket_of(s.ratio) == s.bucket for s in samples)
        assert str(nominal["1-10"][photo.number % 2]) in samples[0].facts


def test_black_holes_turn_the_set_round(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.pad(np.zeros((16, 64), np.uint8), ((0, 48), (0, 0)), constant_values=255))
    assert each_bucket(tmp_path, 64, MaskOptions("black-hole"), 1).files["20-30"] == [tmp_path / "a.png"]
    with pytest.raises(NothingToDo):
        each_bucket(tmp_path, 64, MaskOptions(), 1)  # 75 % are holes


def test_masks_of_the_photos_names_are_cut_as_the_photos(folders: Folders) -> None:
    images, masks = folders(2, size=(64, 96))
    for number in range(2):
        mask = np.zeros((64, 96), np.uint8)
        mask[:16, 16:80] = 255  # a quarter of the centre square
        cv2.imwrite(str(masks / f"{number:03}.png"), mask)
    photos = photos_of(images)
    (sample,) = same_name(masks, photos, MaskOptions()).of(photos[1], read_photo(photos[1]), 32)
    assert (sample.bucket, sample.place, sample.ratio, sample.seed) == ("20-30", "001", 0.25, None)
    assert sample.hole[:8].all()
    assert not sample.hole[8:].any()


def test_a_photo_without_its_mask_is_refused(folders: Folders) -> None:
    images, masks = folders(2)
    (masks / "001.png").unlink()
    with pytest.raises(UsageError, match=r"001\.png: no mask of its name"):
        same_name(masks, photos_of(images), MaskOptions())


def test_made_up_masks_follow_seed_photo_and_bucket(folders: Folders) -> None:
    images, _ = folders(2)
    photos = photos_of(images)
    picture = read_photo(photos[0])
    first, again = (list(MadeUp(7).of(photos[0], picture, 64)) for _ in range(2))
    assert [s.bucket for s in first] == [bucket_of(s.ratio) for s in first] == list(LABELS)
    assert all((a.hole == b.hole).all() for a, b in zip(first, again, strict=True))
    for other in (MadeUp(8).of(photos[0], picture, 64), MadeUp(7).of(photos[1], picture, 64)):
        assert not any((a.hole == b.hole).all() for a, b in zip(first, other, strict=True))


def test_square_is_the_centre(photo: Callable[..., Pixels], tmp_path: Path) -> None:
    pixels = photo(64, 100)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, ::-1])
    (found,) = photos_of(tmp_path)
    picture = read_photo(found)
    np.testing.assert_array_equal(square(picture, 64), pixels[:, 18:82])
    blocks = pixels[:, 18:82].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(square(picture, 32) - blocks).max() <= 0.5  # by area: the mean, rounded
    assert square(picture, 128).shape == (128, 128, 3)
    assert square_hole(np.ones((64, 100), bool), 40).all()
