"""`lgnet bench quality --native` from photos to the page: rows, means, windows, resuming, failures, the command."""

import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fakes import PaintEngine
from lgnet_cli.benchmarks.document import markdown
from lgnet_cli.benchmarks.inputs import write_inputs
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import Method, against
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native import evaluate_native, open_native_masks, run_native
from lgnet_cli.benchmarks.native_methods import SIDE, PatchMatchInWindows
from lgnet_cli.benchmarks.native_table import native_document
from lgnet_cli.benchmarks.product import Product, Refine
from lgnet_cli.benchmarks.report import write_native
from lgnet_cli.benchmarks.samples import Photo, Sample, find_photos
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError, UsageError

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., subprocess.CompletedProcess[str]]
LARGE = (slice(40, 240), slice(60, 260))  # of a photo of 320 x 400
SCRATCH = (slice(270, 276), slice(20, 380))


class Off:
    """Satisfies `Distance`: the mean absolute difference."""

    def know(self, original: Image) -> Image:
        return original

    def of(self, filled: Image, known: Image) -> float:
        return float(np.abs(filled.astype(int) - known).mean())


class Brightens:
    """Satisfies `Fills`: holes are what they were, and a few levels more, by the way to refine; counts."""

    def __init__(self, levels: dict[Refine, int], broken: int | None = None) -> None:
        self.info, self.levels, self.broken, self.calls = PaintEngine().info, levels, broken, 0

    def inpaint(self, image: np.ndarray, mask: np.ndarray, *, refine: Refine) -> np.ndarray[Any, Any]:
        self.calls += 1
        if self.calls == self.broken:
            raise FileError("no memory for this one")
        return np.where(mask[:, :, None], image + np.uint8(self.levels[refine]), image)


def rows_of(session: Brightens) -> list[Method]:
    return [Product("lgnet, network alone", session, "none"), Product("lgnet, texture", session, "texture")]


LEVELS: dict[Refine, int] = {"none": 8, "texture": 2}


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    """Two photos of noise on grey, and masks of a large square and a scratch."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    mask = np.zeros((320, 400), np.uint8)
    mask[LARGE] = mask[SCRATCH] = 255
    for folder in (images, masks):
        folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).normal(100 + 20 * number, 10, (320, 400, 3))
        cv2.imwrite(str(images / f"{number}.png"), noise.clip(0, 200).astype(np.uint8))
        cv2.imwrite(str(masks / f"{number}.png"), mask)
    return images, masks


def job_of(inputs: tuple[Path, Path], out: Path, **options: Any) -> QualityJob:
    return QualityJob(inputs[0], out, inputs[1], quiet=True, pictures=1, **options)


def run(job: QualityJob, methods: list[Method]) -> dict[str, Any]:
    assert job.out
    job.out.mkdir(exist_ok=True)
    photos = find_photos(job.images)
    return evaluate_native(job, photos, open_native_masks(job, photos), methods, Off(), job.out)


def test_every_figure_is_of_the_holes_it_says(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(job_of(inputs, tmp_path / "out"), rows_of(Brightens(LEVELS)))
    names = ["lgnet, network alone", "lgnet, texture", "the photos themselves"]
    assert [(m["name"], m["themselves"]) for m in found["methods"]] == [(n, n == names[2]) for n in names]
    assert [(r["method"], r["image"]) for r in found["images"]] == [(n, f"{i}.png") for i in range(2) for n in names]
    for name, level in zip(names, (8, 2, 0), strict=True):
        means = found["means"][name]
        share = (200 * 200 + 6 * 360) / (320 * 400)  # of the one window
        assert means["st_lpips_large"]["mean"] == pytest.approx(level * share)
        assert means["st_lpips_windows"]["mean"] == pytest.approx(means["st_lpips_large"]["mean"])
        assert means["fine_band"]["mean"] == pytest.approx(1, abs=1e-4)  # brighter, not blurred; float32
        expected = 100 if level == 0 else 20 * np.log10(255 / level)
        assert means["psnr_thin_db"]["mean"] == means["psnr_large_db"]["mean"] == pytest.approx(expected)
        assert means["rim_step"]["count"] == 2
    steps = [found["means"][name]["rim_step"]["mean"] for name in names]
    assert steps[2] < 1  # noise of 10 over hundreds of pixels
    assert steps[0] == pytest.approx(8, abs=2 * steps[2])


def test_the_table_is_bold_where_best_or_nearest_and_never_in_the_photos_row(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    found = run(job_of(inputs, tmp_path / "out"), rows_of(Brightens(LEVELS)))
    found["means"]["lgnet, texture"]["fine_band"]["mean"] = 0.9
    found["means"]["lgnet, network alone"]["fine_band"]["mean"] = 1.2
    found["means"]["lgnet, texture"]["psnr_large_db"] = None
    rows = {r.label: r for r in native_document(found).blocks[0].rows}
    best = {label: [cell.best for cell in row.cells] for label, row in rows.items()}
    assert best["lgnet, texture"][:6] == [True, True, True, True, True, False]
    assert best["lgnet, network alone"][:6] == [False, False, False, False, False, True]
    assert not any(best["the photos themselves"])
    assert rows["the photos themselves"].apart
    assert rows["lgnet, texture"].cells[5].text == "n/a"
    text = markdown(native_document(found, intervals=True))
    assert "| **0.900 (" in text
    assert all(f"{cell.text.split()[0]}" in text for row in rows.values() for cell in row.cells)
    assert "standard deviation of grey minus its Gaussian blur" in text


def test_resume_measures_what_is_missing_and_nothing_else(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    job = job_of(inputs, tmp_path / "out")
    whole = run(job, rows_of(Brightens(LEVELS)))
    file = tmp_path / "out" / "native-rows.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))  # interrupted
    again = Brightens(LEVELS)
    resumed = run(replace(job, resume=True, pictures=0), rows_of(again))
    assert again.calls == 1
    columns = [name for name in whole["columns"] if name != "seconds"]
    assert [[resumed["means"][m][c] for c in columns] for m in whole["means"]] == [
        [whole["means"][m][c] for c in columns] for m in whole["means"]
    ]
    with pytest.raises(UsageError, match="--resume goes on"):
        run(job, rows_of(Brightens(LEVELS)))


def test_what_fails_is_told_and_the_rest_goes_on(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    images, masks = inputs
    cv2.imwrite(str(masks / "0.png"), np.zeros((320, 400), np.uint8))
    (images / "zz.png").write_bytes(b"no image")
    (masks / "zz.png").write_bytes(b"no mask")
    job = replace(job_of(inputs, tmp_path / "out"), pictures=2)
    found = run(job, rows_of(Brightens(LEVELS, broken=1)))
    assert found["folder"]["failed"] == 3
    assert [f["method"] for f in found["failed"]] == ["", "lgnet, network alone", ""]
    assert "0.png: has no hole" in found["failed"][0]["error"]
    assert found["means"]["lgnet, network alone"]["psnr_large_db"] is None
    assert found["means"]["lgnet, texture"]["psnr_large_db"]["count"] == 1
    assert "| n/a |" in markdown(native_document(found))


def test_masks_of_thin_holes_alone_have_no_large_figures(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    mask = np.zeros((320, 400), np.uint8)
    mask[SCRATCH] = 255
    for number in range(2):
        cv2.imwrite(str(inputs[1] / f"{number}.png"), mask)
    means = run(job_of(inputs, tmp_path / "out"), rows_of(Brightens(LEVELS)))["means"]["lgnet, texture"]
    assert [name for name, cell in means.items() if cell is None] == ["st_lpips_large", "fine_band", "psnr_large_db"]
    assert means["st_lpips_windows"]["mean"] > 0


def test_the_page_shows_the_windows_of_the_worst_photo_at_their_own_size(
    inputs: tuple[Path, Path], tmp_path: Path, photo: Callable[..., Pixels]
) -> None:
    images, masks = inputs
    large = photo(900, 1400)
    hole = np.zeros((900, 1400), np.uint8)
    hole[300:700, 200:800] = hole[40:46, 100:1300] = 255
    cv2.imwrite(str(images / "large.png"), (large // 2)[:, :, ::-1])
    cv2.imwrite(str(masks / "large.png"), hole)
    found = run(job_of(inputs, tmp_path / "out"), rows_of(Brightens(LEVELS)))
    write_native(found, tmp_path / "out")
    assert {entry["image"] for entry in found["pictures"]} == {"large.png"}  # most of its windows is hole
    assert len(found["pictures"]) == 4
    left, top, width, height = found["pictures"][0]["window"]
    assert (left, top, width, height) == (244, 244, 512, 512)
    shown = cv2.imread(str(tmp_path / "out" / found["pictures"][0]["results"]["lgnet, texture"]))[:, :, ::-1]
    part = slice(top, top + height), slice(left, left + width)
    np.testing.assert_array_equal(shown, (large // 2)[part] + 2 * (hole[part] > 0)[:, :, None].astype(np.uint8))
    page = (tmp_path / "out" / "native.html").read_text()
    assert page.count('<figure class="case"') == 4 * 2
    assert "512 x 512 pixels at 244, 244" in page
    assert json.loads((tmp_path / "out" / "native.json").read_text()) == json.loads(json.dumps(found))
    with (tmp_path / "out" / "native.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["psnr_thin_db"]) for r in rows] == [r["psnr_thin_db"] for r in found["images"]]


class Sees:
    """Satisfies `Method`: fills with 7, known pixels too, and remembers what it was given."""

    name = source = "sees"

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, ...], int]] = []

    def fill(self, sample: Sample, image: Image) -> Image:
        assert image.shape[:2] == sample.hole.shape
        self.seen.append((image.shape[:2], int(sample.hole.sum())))
        return np.full_like(image, 7)

    def facts(self, sample: Sample) -> str:
        return ""


def test_patchmatch_sees_a_megapixel_around_each_group_of_holes() -> None:
    hole = np.zeros((1500, 4000), bool)
    hole[200:600, 300:700] = hole[1300:1306, 100:2400] = True  # an object, and a scratch of several windows
    hole[100:1400, 2600:3850] = True  # larger than a window
    image, inner = np.full((1500, 4000, 3), 90, np.uint8), Sees()
    sample = Sample(Photo(Path("a.png"), "a.png", 0), "native", "a", "", 0, hole)
    filled = PatchMatchInWindows(inner).fill(sample, image)
    np.testing.assert_array_equal(filled, np.where(hole[:, :, None], 7, image))
    sizes = sorted(height * width for (height, width), _ in inner.seen)
    assert sizes[0] == sizes[-2] == SIDE**2
    assert 1250**2 < sizes[-1] < 1600 * 1500
    assert (image == 90).all()  # what it was given stays


def test_patchmatch_itself_fills_a_photo_in_windows(photo: Callable[..., Pixels]) -> None:
    pytest.importorskip("patchmatch", reason="pypatchmatch takes Python 3.11")
    image, hole = photo(200, 260), np.zeros((200, 260), bool)
    hole[80:110, 90:130] = True
    sample = Sample(Photo(Path("a.png"), "a.png", 0), "native", "a", "", 0, hole)
    method = PatchMatchInWindows(against(["patchmatch"], 0, 1)[0])
    assert "1024 x 1024 pixels (1.05 MP)" in method.source
    filled = method.fill(sample, np.where(hole[:, :, None], 0, image).astype(np.uint8))
    assert np.abs(filled.astype(int) - image)[hole].mean() < 25  # a smooth picture; black would be about 128 off


def test_inputs_for_other_systems_are_whole_photos(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    job = QualityJob(inputs[0], seed=3)
    assert write_inputs(job, tmp_path / "in", native=True) == 2
    sample = open_native_masks(job, []).of(Photo(inputs[0] / "1.png", "1.png", 1), _picture(inputs[0] / "1.png"))
    mask = cv2.imread(str(tmp_path / "in" / "masks" / "1.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(mask > 0, sample.hole)
    written, original = (cv2.imread(str(folder / "1.png")) for folder in (tmp_path / "in" / "images", inputs[0]))
    np.testing.assert_array_equal(written, original)


def _picture(file: Path) -> Any:
    from lgnet_cli.imaging.files import decode

    return decode(file.read_bytes(), file)


def test_the_command(tmp_path: Path, photo: Callable[..., Pixels], lgnet: Command) -> None:
    """On a small photo with made-up masks; the network's row is what `Session` gives without refining."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), photo(300, 420)[:, :, ::-1])
    command = ["bench", "quality", "--native", "--images", tmp_path / "images", "-o", tmp_path / "out"]
    done = lgnet(*command, "--against", "telea,ns")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "native.json").read_text())
    own = ["lgnet, network alone", "lgnet, tone", "lgnet, texture"]
    assert list(found["means"]) == [*own, "Telea", "Navier-Stokes", "the photos themselves"]
    assert all(cell["mean"] >= 0 for means in found["means"].values() for cell in means.values())
    assert "| lgnet, texture |" in done.stdout
    assert "native.html" in done.stderr
    resumed = lgnet(*command, "--against", "telea,ns", "--resume", "--json")
    assert json.loads(resumed.stdout)["means"] == found["means"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--paper-compat"], "--paper-compat is of the tables of squares"),
        (["--size", "512"], "--size is of the tables"),
        (["--reference", "places2"], "--reference is of the tables"),
        (["--masks", "m", "--generate-masks"], "give either --masks DIR or --generate-masks"),
    ],
)
def test_options_of_the_squares_are_refused(wrong: list[str], said: str, folders: Folders, lgnet: Command) -> None:
    images, _ = folders(1)
    done = lgnet("bench", "quality", "--native", "--images", images, *wrong)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"backends": ("onnxruntime", "openvino")}, "--native takes one --backend"),
        ({"against": ("lama=lama.onnx:hole",)}, "--native runs no ONNX file"),
        ({"against": ("telea,telea",)}, "several rows of one name: Telea"),
        ({"weights": Path("a"), "engine": Path("b")}, "exclude each other"),
        ({"resume": True}, "--resume goes on with what a folder holds"),
    ],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, Any], said: str, folders: Folders) -> None:
    images, _ = folders(1)
    with pytest.raises(UsageError, match=said):
        run_native(QualityJob(images, **wrong))


def test_a_photo_too_small_for_made_up_masks_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((90, 400, 3), np.uint8))
    job = QualityJob(tmp_path / "images", tmp_path / "out", quiet=True)
    found = run(job, rows_of(Brightens(LEVELS)))
    assert "has under 128 pixels on a side" in found["failed"][0]["error"]
    assert found["pictures"] == []
