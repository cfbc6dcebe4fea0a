"""Each finder on pictures whose faults are known; and what they do together."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lgnet_cli.benchmarks.plants import plant_dust, plant_scratches, plant_stamp, plant_text
from lgnet_cli.errors import MaskError, UsageError
from lgnet_cli.finders.constant import LEAST_PHOTOS, Constant, Survey
from lgnet_cli.finders.find import check, find
from lgnet_cli.finders.options import FindOptions, parse_window
from lgnet_cli.finders.protocol import MOST_LISTED, Photo, Region, regions_of, summed_up
from lgnet_cli.imaging.picture import Picture

Pixels = np.ndarray


def picture(rgb: Pixels) -> Picture:
    return Picture(np.ascontiguousarray(rgb[:, :, ::-1]), "rgb", "PNG", True, b"", b"")


def found(rgb: Pixels, *specs: str, **options: Any) -> Pixels:
    return find(Path("photo.png"), picture(rgb), FindOptions(specs, **options)).hole


def shares(hole: Pixels, truth: Pixels, rim: int = 2) -> tuple[float, float]:
    """(recall, precision) with a rim of some pixels, which found holes are grown by."""
    near = cv2.dilate(truth.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)) > 0
    return (hole & truth).sum() / truth.sum(), (hole & near).sum() / max(1, hole.sum())


def ground(height: int = 400, width: int = 600, seed: int = 0) -> Pixels:
    """A smooth picture of middle tones with a little noise: a scan without detail."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.integers(60, 170, (5, 5, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return (coarse.astype(int) + rng.integers(-3, 4, coarse.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("finder", "plant"), [("text", plant_text), ("dust", plant_dust), ("scratches", plant_scratches)]
)
@pytest.mark.parametrize("seed", range(3))
def test_planted_faults_are_found(finder: str, plant: Callable[..., Any], seed: int) -> None:
    """On smooth ground, where it is easy; `lgnet bench find` measures real photos.

    0.9: soft rims may be missed. 0.75: what is grown reaches beyond the rim where a faint edge was taken, too.
    """
    planted = plant(ground(seed=seed), np.random.default_rng(seed))
    recall, precision = shares(found(planted.rgb, finder), planted.hole)
    assert recall > 0.9
    assert precision > 0.75


@pytest.mark.parametrize("finder", ["text", "dust", "scratches", "color:#ff0000", "constant"])
def test_nothing_is_found_where_nothing_is(finder: str) -> None:
    assert not found(ground(), finder).any()


def test_text_never_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    planted = plant_text(ground(), np.random.default_rng(5))
    assert found(planted.rgb, "text", text_matching="[0-9]|[A-Za-z]").any()


def test_text_is_chosen_by_what_it_reads() -> None:
    rgb = ground()
    cv2.putText(rgb, "1998-07-14", (30, 100), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    cv2.putText(rgb, "Holiday", (300, 300), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    finding = find(Path("p"), picture(rgb), FindOptions(("text",), text_matching=r"\d{4}-\d\d"))
    assert finding.hole[70:110].any()
    assert not finding.hole[200:].any()
    assert "1998" in summed_up(finding.regions)


def test_within_keeps_the_rest_out() -> None:
    planted = plant_dust(ground(), np.random.default_rng(0))
    hole = found(planted.rgb, "dust", within="50%,0,100%,200", dilate=0)
    assert hole[:200, 300:].any()
    assert not hole[:, :300].any()
    assert not hole[200:].any()


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "50%,0,40%,100%", "0,10,10,5", "-1,0,5,5"])
def test_a_wrong_window_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--within"):
        parse_window(text)


def test_windows_are_pixels_or_shares() -> None:
    assert parse_window("10%,20,100%,5000").on((300, 400)) == (20, 40, 300, 400)  # top, left, bottom, right


def test_a_colour_within_its_tolerance() -> None:
    rgb = np.full((40, 60, 3), 128, np.uint8)
    rgb[10:20, 10:30] = (255, 0, 0)
    rgb[30:35, 10:30] = (243, 12, 12)
    rgb[30:35, 40:50] = (242, 0, 0)
    hole = found(rgb, "color:#ff0000~12", dilate=0)
    assert hole.sum() == 10 * 20 + 5 * 20
    assert not hole[30:35, 40:50].any()


def test_what_stays_the_same_in_a_folder() -> None:
    photos = [(Path(f"folder/{i}.png"), plant_stamp(busy(i), np.random.default_rng(1))) for i in range(12)]
    marks = Survey().add_all((path, planted.rgb) for path, planted in photos)
    path, planted = photos[0]
    recall, precision = shares(Constant(marks).find(Photo(path, picture(planted.rgb))).hole, planted.hole, rim=1)
    assert recall > 0.9
    assert precision > 0.9
    elsewhere = Constant(marks).find(Photo(Path("other/0.png"), picture(planted.rgb)))
    assert not elsewhere.hole.any()


def busy(seed: int) -> Pixels:
    """A picture that no other resembles."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.integers(0, 256, (n, n, 3), dtype=np.uint8), (480, 320)) for n in (4, 16, 60)]
    return np.mean(layers, axis=0).astype(np.uint8)


def test_few_photos_say_nothing() -> None:
    photos = [(Path(f"f/{i}.png"), plant_stamp(busy(i), np.random.default_rng(1)).rgb) for i in range(LEAST_PHOTOS - 1)]
    assert Survey().add_all(photos) == {}


def script(tmp_path: Path, body: str) -> str:
    (tmp_path / "tool.py").write_text(body)
    return f"command:{sys.executable} {tmp_path / 'tool.py'} {{image}} {{mask}}"


def test_an_outside_command_draws_the_mask(tmp_path: Path) -> None:
    body = "import sys, cv2\nimage = cv2.imread(sys.argv[1])\ncv2.imwrite(sys.argv[2], (image[:, :, 0] > 200) * 255)"
    rgb = np.zeros((30, 40, 3), np.uint8)
    rgb[5:10, 5:10] = 255
    photo = tmp_path / "a b;$(x).png"  # a shell would trip over it
    cv2.imwrite(str(photo), rgb)
    options = FindOptions((script(tmp_path, body),), dilate=0)
    np.testing.assert_array_equal(find(photo, picture(rgb), options).hole, rgb[:, :, 0] > 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit('no model')", "failed with 1: no model"),
        ("pass", "has written no"),
        ("import time; time.sleep(60)", "took more than"),
        ("import sys; open(sys.argv[2], 'w').write('x')", "not a readable image"),
    ],
)
def test_a_command_that_fails_names_the_photo(tmp_path: Path, body: str, said: str) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), ground(32, 32))
    options = FindOptions((script(tmp_path, body),), command_timeout=2)
    with pytest.raises(MaskError if "readable" not in said else Exception, match=said):
        find(tmp_path / "photo.png", picture(ground(32, 32)), options)


def test_too_much_is_an_error() -> None:
    red = np.full((20, 20, 3), (255, 0, 0), np.uint8)
    with pytest.raises(MaskError, match=r"photo.png: color:#ff0000 found 100 % .* --max-found 30%"):
        found(red, "color:#ff0000")
    assert found(red, "color:#ff0000", max_found=1.0).all()


@pytest.mark.parametrize(
    "spec", ["", "dsut", "color:red", "color:#12", "command:", "command:tool {image}", "command:'"]
)
def test_a_finder_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="--find"):
        check(FindOptions((spec,)))


def test_a_wrong_expression_is_refused() -> None:
    with pytest.raises(UsageError, match="--text-matching"):
        check(FindOptions(("dust",), text_matching="("))


def test_finders_are_united_and_grown() -> None:
    rgb = np.full((40, 60, 3), 128, np.uint8)
    rgb[10, 10], rgb[30, 50] = (255, 0, 0), (0, 255, 0)
    hole = found(rgb, "color:#ff0000~0", "color:#00ff00~0", dilate=2)
    assert hole[10, 12]
    assert hole[28, 50]
    assert hole.sum() == 2 * 17  # a disc of radius 2 as OpenCV draws it


def test_regions_are_summed_up() -> None:
    hole = np.zeros((10, 10), bool)
    hole[2:4, 5:8] = True
    assert regions_of(hole, "why") == [Region(5, 2, 8, 4, "why")]
    assert summed_up(regions_of(hole, "why")) == "why at 5,2,8,4"
    assert summed_up([Region(0, 0, 1, 1, "x")] * (MOST_LISTED + 3)).endswith("; and 3 more")
