"""`lgnet masks make`."""

from pathlib import Path

import cv2
import pytest

from lgnet_cli.errors import UsageError
from lgnet_cli.training.masks import parsed_buckets, write_masks


def test_the_layout_is_nvidias(tmp_path: Path, lgnet) -> None:
    done = lgnet("masks", "make", "-n", 24, "--size", 128, "-o", tmp_path / "m", "--seed", 3)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "m").iterdir())
    assert [f.name for f in files] == [f"{i:05}.png" for i in range(24)]
    for i, file in enumerate(files):
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (128, 128)
        assert set(mask.ravel().tolist()) == {0, 255}
        lo, hi = [(0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6)][i // 4]
        assert lo < (mask > 0).mean() <= hi
        if i % 4 < 2:
            assert not any(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def test_one_seed_one_set(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_masks(tmp_path / name, 4, 64, "5-15,15-30", seed)
    a, b, c = ([(tmp_path / n / f"{i:05}.png").read_bytes() for i in range(4)] for n in "abc")
    assert a == b
    assert a != c


def test_a_folder_with_files_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="not empty"):
        write_masks(tmp_path, 6, 64, "paper", 0)


@pytest.mark.parametrize("text", ["", "5", "a-b", "20-10", "50-99", "1-2-3"])
def test_buckets_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="buckets"):
        parsed_buckets(text)


def test_masks_are_shared_equally(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="-n 6"):
        write_masks(tmp_path / "m", 7, 64, "paper", 0)
