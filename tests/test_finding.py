"""`lgnet masks find` and `lgnet inpaint --find`: the real commands."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lgnet_cli.report import NAME

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def painted(tmp_path: Path, photo: Callable[..., np.ndarray]) -> Path:
    """Three photos, of which the last has nothing red in it; one below a folder."""
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "sub/b.png", "c.png")):
        rgb = photo(200, 240, seed=number) // 2  # nothing of it is pure red
        if name != "c.png":
            rgb[50:80, 60:100] = (255, 0, 0)
        cv2.imwrite(str(images / name), rgb[:, :, ::-1])
    return images


def lines(out: Path) -> dict[str, dict[str, object]]:
    return {Path(r["input"]).name: r for r in map(json.loads, (out / NAME).read_text().splitlines())}


def test_masks_are_written_and_kept(painted: Path, tmp_path: Path, lgnet: Command) -> None:
    command = ("masks", "find", painted, "--find", "color:#ff0000", "--dilate", 0, "-o", tmp_path / "m")
    done = lgnet(*command)
    assert (done.returncode, "2 with holes, 1 without, 0 failed" in done.stderr) == (0, True), done.stderr
    for name in ("a.png", "sub/b.png", "c.png"):
        mask = cv2.imread(str(tmp_path / "m" / name), cv2.IMREAD_UNCHANGED)
        truth = cv2.imread(str(painted / name))[:, :, 2] == 255
        np.testing.assert_array_equal(mask, truth * np.uint8(255))
    assert lines(tmp_path / "m")["a.png"]["found"] == "color #ff0000 at 60,50,100,80"
    assert "3 done before" in lgnet(*command).stderr
    assert lgnet("inpaint", painted, tmp_path / "m", "-o", tmp_path / "out").returncode == 0


def test_one_command_from_photos_to_repaired_ones(painted: Path, tmp_path: Path, lgnet: Command) -> None:
    out = tmp_path / "out"
    done = lgnet("inpaint", painted, "--find", "color:#ff0000", "-o", out, "--keep-masks", "--report")
    assert done.returncode == 0, done.stderr
    assert "2 filled, 1 copied (nothing to fill)" in done.stderr
    for name in ("a.png", "sub/b.png"):
        before, after = cv2.imread(str(painted / name)), cv2.imread(str(out / name))
        hole = cv2.imread(str(out / "masks" / name), cv2.IMREAD_GRAYSCALE) > 0
        assert hole[50:80, 60:100].all()
        np.testing.assert_array_equal(after[~hole], before[~hole])
        assert (after[hole] != before[hole]).any(axis=1).mean() > 0.9
    assert (out / "c.png").read_bytes() == (painted / "c.png").read_bytes()
    again = lgnet("inpaint", painted, "--find", "color:#ff0000", "-o", out, "--keep-masks", "--json")
    assert json.loads(again.stdout)["skipped"] == 3
    other = lgnet("inpaint", painted, "--find", "color:#ff0000~3", "-o", out, "--keep-masks", "--json")
    assert json.loads(other.stdout)["skipped"] == 0  # other options, other masks


def test_what_is_constant_is_found_in_a_batch(tmp_path: Path, lgnet: Command) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(12):
        rng = np.random.default_rng(number)
        layers = [cv2.resize(rng.integers(0, 256, (n, n, 3), dtype=np.uint8), (300, 200)) for n in (4, 16, 60)]
        rgb = np.mean(layers, axis=0).astype(np.uint8)
        cv2.rectangle(rgb, (30, 30), (90, 60), (20, 150, 250), 4)
        cv2.imwrite(str(images / f"{number}.png"), rgb)
    done = lgnet("inpaint", images, "--find", "constant", "-o", tmp_path / "out", "--keep-masks")
    assert done.returncode == 0, done.stderr
    hole = cv2.imread(str(tmp_path / "out" / "masks" / "0.png"), cv2.IMREAD_GRAYSCALE) > 0
    assert hole[30, 35:85].all()
    assert hole.mean() < 0.1  # the frame is 1 % of the photo, 3 % when grown


def test_a_photo_that_fails_does_so_alone(painted: Path, tmp_path: Path, lgnet: Command) -> None:
    cv2.imwrite(str(painted / "red.png"), np.full((50, 50, 3), (0, 0, 255), np.uint8))
    for command in (("masks", "find", painted), ("inpaint", painted)):
        out = tmp_path / command[0]
        done = lgnet(*command, "--find", "color:#ff0000", "-o", out)
        assert done.returncode == 3
        assert "red.png: color:#ff0000 found 100 % of the photo, more than --max-found 30%" in done.stderr
        assert len(list(out.rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--find", "dsut"], "no such finder"),
        (["--find", "text", "--within", "1,2"], "--within 1,2"),
        (["--find", "dust", "--max-found", "x"], "--max-found x"),
        (["--find", "dust", "--text-matching", "("], "--text-matching"),
    ],
)
def test_what_cannot_be_is_refused(
    painted: Path, tmp_path: Path, lgnet: Command, options: list[str], said: str
) -> None:
    for command in (("masks", "find", painted), ("inpaint", painted)):
        done = lgnet(*command, *options, "-o", tmp_path / "o")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "o").exists()


def test_masks_and_find_exclude_each_other(painted: Path, tmp_path: Path, lgnet: Command) -> None:
    for options, said in ((("m", "--find", "dust"), "exclude each other"), ((), "no MASKS"),
                          (("--find", "dust", "--report"), "add --keep-masks")):  # fmt: skip
        done = lgnet("inpaint", painted, *options, "-o", tmp_path / "o")
        assert (done.returncode, said in done.stderr) == (2, True)


def test_a_mask_that_is_not_ours_is_not_replaced(painted: Path, tmp_path: Path, lgnet: Command) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.png").write_bytes(b"mine")
    command = ("masks", "find", painted, "--find", "color:#ff0000", "-o", tmp_path / "m")
    done = lgnet(*command)
    assert (done.returncode, "no report says" in done.stderr) == (2, True)
    assert (tmp_path / "m" / "a.png").read_bytes() == b"mine"
    assert lgnet(*command, "--overwrite").returncode == 0


def test_the_images_alpha_without_masks(tmp_path: Path, lgnet: Command, photo: Callable[..., np.ndarray]) -> None:
    (tmp_path / "images").mkdir()
    rgba = np.dstack([photo(100, 120), np.full((100, 120), 255, np.uint8)])
    rgba[40:60, 40:60, 3] = 0
    cv2.imwrite(str(tmp_path / "images" / "a.png"), rgba)
    done = lgnet("inpaint", tmp_path / "images", "--mask-from", "alpha", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    after = cv2.imread(str(tmp_path / "out" / "a.png"), cv2.IMREAD_UNCHANGED)
    known = rgba[:, :, 3] > 0
    np.testing.assert_array_equal(after[known], rgba[known])
    assert (after[~known] != rgba[~known]).any()
