"""`lgnet bench find`: faults are planted where it says, and what finds them is measured on real pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lgnet_cli.benchmarks.find import measure, run_find
from lgnet_cli.benchmarks.plants import PLANTS
from lgnet_cli.errors import NothingToDo, UsageError

Photo = Callable[..., np.ndarray]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Soft blotches, which differ from photo to photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 60, (300, 400, 3))
        blotches = 128 + 12 * cv2.GaussianBlur(noise, (0, 0), 12)
        cv2.imwrite(str(folder / f"{number}.png"), blotches.clip(0, 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_faults_lie_in_their_holes_alone_and_are_the_same_again(name: str, photo: Photo) -> None:
    image = photo(300, 400)
    planted, again = (PLANTS[name](image, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(planted.rgb, again.rgb)
    changed = (planted.rgb != image).any(axis=2)
    assert 0 < planted.hole.mean() < 0.3
    assert changed[planted.hole].mean() > 0.5
    far = cv2.dilate(planted.hole.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    assert np.abs(planted.rgb.astype(int) - image)[far].max() < 40  # levels: the soft edge of what was drawn


def test_what_stays_the_same_over_a_folder_is_found(photos: Path) -> None:
    (row,) = measure(sorted(photos.iterdir()), ["constant"], 0, 2, 1.0, fill=True)
    assert (row.finder, row.photos) == ("constant", 8)
    assert row.recall > 0.8
    assert row.precision > 0.8
    assert row.psnr_found is not None
    assert row.psnr_true is not None
    assert row.psnr_found > 20  # dB: a smooth picture is filled nearly as it was


def test_the_table_and_json_hold_the_same(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_find(photos, "dust,scratches", 2, 0, 2, 1.0, False, False)
    table = capsys.readouterr().out.splitlines()
    run_find(photos, "dust,scratches", 2, 0, 2, 1.0, False, True)
    rows = json.loads(capsys.readouterr().out)
    assert [line.split(" | ")[0] for line in table[2:]] == ["| dust", "| scratches"]
    assert [f"{row['recall']:.3f}" for row in rows] == [line.split(" | ")[2] for line in table[2:]]


def test_what_cannot_be_measured_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="faults can be planted for"):
        run_find(photos, "faces", None, 0, 2, 1.0, False, False)
    with pytest.raises(NothingToDo, match="photos of one folder and size"):
        measure(sorted(photos.iterdir())[:3], ["constant"], 0, 2, 1.0, fill=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDo, match="no photo there"):
        run_find(tmp_path / "empty", "dust", None, 0, 2, 1.0, False, False)
