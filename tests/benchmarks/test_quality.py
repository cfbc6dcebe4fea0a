"""A quality run from photos to tables: rows, means, sets, resuming, failures, and the command itself."""

import csv
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lgnet_cli.benchmarks.columns import PIXEL, SETS
from lgnet_cli.benchmarks.distances import fid
from lgnet_cli.benchmarks.features import Features
from lgnet_cli.benchmarks.inputs import write_inputs
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.judges import Judges
from lgnet_cli.benchmarks.methods import Method, against
from lgnet_cli.benchmarks.metrics import Image, pixel_metrics
from lgnet_cli.benchmarks.outcome import interval
from lgnet_cli.benchmarks.quality import evaluate, run_quality
from lgnet_cli.benchmarks.quality_table import tables
from lgnet_cli.benchmarks.samples import MadeUp, Sample, find_photos, read_photo, square
from lgnet_cli.errors import FileError, UsageError
from lgnet_cli.imaging.strokes import LABELS
from lgnet_cli.weights import DEFAULT_GRAPH

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
SIZE = 64


class Colours(nn.Module):
    """Satisfies what `Features` asks of a network: 2048 numbers that differ from picture to picture, at no cost."""

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        coarse = nn.functional.adaptive_avg_pool2d(pixels.float(), 8).flatten(1)  # (N, 192)
        return (nn.functional.pad(coarse, (0, 2048 - 192)),)


class Paints:
    """Satisfies `Method`: one colour in every hole, and counts."""

    def __init__(self, name: str, colour: int, broken: str = "") -> None:
        self.name, self.source, self.colour, self.broken, self.calls = name, f"colour {colour}", colour, broken, 0

    def fill(self, sample: Sample, image: Image) -> Image:
        self.calls += 1
        if sample.photo.name == self.broken:
            raise FileError(f"{sample.photo.file}: out of paint")
        return np.full_like(image, self.colour)

    def facts(self, sample: Sample) -> str:
        return ""


@pytest.fixture
def judges(tmp_path: Path) -> Judges:
    """Pixel metrics, and the set metrics on cheap features; no perceptual network, which takes seconds."""
    found = Judges(tmp_path / "none", vgg=False, cache=tmp_path / "cache", perceptual=False)
    found.features = Features(Colours(), tmp_path / "features", torch.device("cpu"))
    found.missing = {name: how for name, how in found.missing.items() if name not in SETS}
    return found


def run(job: QualityJob, methods: list[Method], judges: Judges) -> dict[str, Any]:
    assert job.out
    job.out.mkdir(exist_ok=True)
    return evaluate(job, find_photos(job.images), MadeUp(job.seed), methods, judges, job.out)


def job_of(images: Path, out: Path) -> QualityJob:
    return QualityJob(images, out, size=SIZE, workers=2, quiet=True, pictures=3)


def test_rows_means_and_sets(folders: Folders, tmp_path: Path, judges: Judges) -> None:
    images, _ = folders(4)
    job = job_of(images, tmp_path / "out")
    found = run(job, [Paints("grey", 128), *against(["telea"], 0, 1)], judges)
    written = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert {**found, "images": written["images"]} == written
    rows = [r for r in written["images"] if r["method"] == "grey" and r["bucket"] == "30-40"]
    assert [r["image"] for r in rows] == ["000.png", "001.png", "002.png", "003.png"]
    assert len(written["images"]) == 4 * 6 * 2
    for column in PIXEL:
        cell = found["means"]["grey"][column]["30-40"]
        assert cell["mean"] == pytest.approx(np.mean([r[column] for r in rows]))
        assert cell["low"] <= cell["mean"] <= cell["high"]
        assert cell["count"] == 4
    shown = [cv2.imread(str(tmp_path / "out" / p)) for p in
             (found["pictures"][0]["original"], found["pictures"][0]["results"]["grey"])]  # fmt: skip
    hole = cv2.imread(str(tmp_path / "out" / found["pictures"][0]["mask"]), cv2.IMREAD_GRAYSCALE) > 0
    (its,) = (r for r in written["images"] if r["method"] == "grey" and r["image"] == found["pictures"][0]["image"]
              and r["bucket"] == found["pictures"][0]["bucket"])  # fmt: skip
    assert {**its, **pixel_metrics(shown[1], shown[0], hole)} == pytest.approx(its)  # colours' order changes nothing
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(r["psnr_db"]) for r in table] == [r["psnr_db"] for r in written["images"]]


def test_set_metrics_are_of_the_buckets_pictures(folders: Folders, tmp_path: Path, judges: Judges) -> None:
    images, _ = folders(4)
    found = run(job_of(images, tmp_path / "out"), [Paints("grey", 128)], judges)
    assert judges.features
    kept = [json.loads(line) for line in (tmp_path / "out" / "quality-rows.jsonl").read_text().splitlines()]
    pairs = [(r["original_sha256"], r["sha256"]) for r in kept if r["bucket"] == "50-60"]
    expected = fid(*(judges.features.get([pair[i] for pair in pairs]) for i in (0, 1)))
    assert expected > 1
    cell = found["means"]["grey"]["fid"]["50-60"]
    assert cell == {"mean": pytest.approx(expected), "low": None, "high": None, "count": 4}
    assert 0 <= found["means"]["grey"]["p_ids"]["50-60"]["mean"] <= 1
    assert found["means"]["grey"]["fid"]["1-10"]["mean"] < expected  # smaller holes, nearer


def test_resume_measures_what_is_missing_and_nothing_else(folders: Folders, tmp_path: Path, judges: Judges) -> None:
    images, _ = folders(3)
    job = job_of(images, tmp_path / "out")
    whole = run(job, [Paints("grey", 128), Paints("white", 255)], judges)
    rows = tmp_path / "out" / "quality-rows.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:20]))  # interrupted
    grey, white = Paints("grey", 128), Paints("white", 255)
    again = run(replace(job, resume=True, pictures=0), [grey, white], judges)
    assert again["means"] == whole["means"]
    assert grey.calls + white.calls == 3 * 6 * 2 - 20
    other = Paints("grey", 7)  # other source: all is measured anew
    run(replace(job, resume=True, pictures=0), [other], judges)
    assert other.calls == 3 * 6


def test_a_picture_that_fails_is_told_and_the_rest_goes_on(folders: Folders, tmp_path: Path, judges: Judges) -> None:
    images, _ = folders(3)
    (images / "zz.png").write_bytes(b"no image")
    found = run(job_of(images, tmp_path / "out"), [Paints("grey", 1, broken="001.png"), Paints("white", 255)], judges)
    assert found["folder"]["failed"] == 6 + 1
    assert {f["method"] for f in found["failed"]} == {"grey", ""}
    assert found["means"]["grey"]["psnr_db"]["1-10"]["count"] == 2
    assert found["means"]["white"]["psnr_db"]["1-10"]["count"] == 3
    assert "failed: 7, not in the means" in tables(found)


def test_the_table_is_bold_where_best_and_says_what_is_missing(
    folders: Folders, tmp_path: Path, judges: Judges
) -> None:
    images, _ = folders(2)
    judges.missing["lpips"] = "download it"
    job = replace(job_of(images, tmp_path / "out"), reference="places2")
    found = run(job, [Paints("grey", 128), Paints("white", 255)], judges)
    text = tables(found, intervals=False)
    best = [max(found["means"][m]["psnr_db"][b]["mean"] for m in ("grey", "white")) for b in LABELS]
    block = text.split("| PSNR, dB (higher is better) |")[1].split("\n\n")[0]
    assert all(f"**{value:.2f}**" in block for value in best)
    paper = json.loads((ROOT / "benchmarks" / "paper_tables.json").read_text())["places2"]["MADF"]["psnr_db"]
    assert "| MADF (published) | " + " | ".join(f"{value:.2f}" for value in paper) + " |" in block
    assert "n/a, lpips: download it" in text
    assert all(f"- {name}: " in text for name in found["columns"])


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = [low[0] <= 5 <= high[0] for low, high in (interval(rng.normal(5, 2, (60, 1)), seed) for seed in range(60))]
    assert 0.87 < np.mean(hits) < 1  # 95 %, less what percentiles of 60 values miss; 60 tries


def test_the_command(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    """The network is its own graph as another's; what users get is what `lgnet inpaint` makes, as another's folder."""
    images, masks = folders(1)
    common = ["bench", "quality", "--images", images, "--masks", masks, "--workers", "1"]
    assert lgnet(*common, "--write-inputs", tmp_path / "in").returncode == 0
    assert lgnet("inpaint", tmp_path / "in/images", tmp_path / "in/masks", "-o", tmp_path / "res").returncode == 0
    rows = ["--against", "telea", "--against", f"graph={DEFAULT_GRAPH}:hole", "--against", f"folder={tmp_path / 'res'}"]
    bare = {**os.environ, "TORCH_HOME": str(tmp_path)}  # a developer may have the weight files
    done = lgnet(*common, *rows, "--reference", "celebahq", "-o", tmp_path / "out", env=bare)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "quality.json").read_text())
    means = found["means"]
    assert means["lgnet"]["st_lpips"]["1-10"]["mean"] > 0
    assert means["lgnet, network alone"] == means["graph"] != means["Telea"]
    assert means["lgnet"] == means["folder"]  # what users get
    assert means["LGNet (published)"]["fid"]["1-10"]["mean"] == 0.39
    assert found["columns"][:5] == ["l1_percent", "psnr_db", "ssim", "fid", "lpips"]
    names = [method["name"] for method in found["methods"]]
    assert names[:6] == ["lgnet", "Telea", "graph", "folder", "lgnet, network alone", "PEN (published)"]
    for text in (done.stdout, (tmp_path / "out" / "quality.md").read_text()):
        table = text.partition("PSNR, dB (higher is better)")[2]
        places = [table.index(f"\n| {row} |") for row in names]
        assert places == sorted(places)
    resumed = lgnet(*common, *rows, "-o", tmp_path / "out", "--resume", "--json", env=bare)
    assert json.loads(resumed.stdout)["means"]["folder"] == means["folder"]


def test_paper_compat_is_of_the_network_alone(folders: Folders) -> None:
    images, masks = folders(1)
    found = run_quality(QualityJob(images, masks=masks, paper_compat=True, against=("telea",), workers=1, quiet=True))
    assert [method["name"] for method in found["methods"]] == ["lgnet, network alone", "Telea"]
    assert "truncated to 8 bits" in found["methods"][0]["source"]


@pytest.mark.parametrize("wrong", [[], ["--masks", "m", "--generate-masks"], ["--generate-masks", "--each-bucket"]])
def test_masks_are_given_or_made_up(wrong: list[str], folders: Folders, lgnet: Command) -> None:
    images, _ = folders(1)
    assert lgnet("bench", "quality", "--images", images, *wrong).returncode == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"paper_compat": True, "backends": ("openvino",)}, "--paper-compat runs the weights"),
        ({"weights": Path("a"), "engine": Path("b")}, "exclude each other"),
        ({"against": ("telea", "telea,ns")}, "several rows of one name: Telea"),
        ({"resume": True}, "--resume goes on with what a folder holds"),
        ({"size": 300}, "runs at multiples of 256, not at 300"),
        ({"paper_compat": True, "size": 300}, "runs at multiples of 256, not at 300"),
    ],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, Any], said: str, folders: Folders) -> None:
    images, _ = folders(1)
    with pytest.raises(UsageError, match=said):
        run_quality(QualityJob(images, **wrong))


def test_inputs_for_other_systems_are_what_is_evaluated(folders: Folders, tmp_path: Path) -> None:
    images, _ = folders(2)
    job = QualityJob(images, size=SIZE, seed=5)
    assert write_inputs(job, tmp_path / "in") == 2 * 6
    photo = find_photos(images)[1]
    for sample in MadeUp(5).of(photo, read_photo(photo), SIZE):
        mask = cv2.imread(str(tmp_path / "in" / "masks" / f"{sample.place}.png"), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(mask > 0, sample.hole)
        written = cv2.imread(str(tmp_path / "in" / "images" / f"{sample.place}.png"))[:, :, ::-1]
        np.testing.assert_array_equal(written, square(read_photo(photo), SIZE))
    with pytest.raises(UsageError, match="not empty"):
        write_inputs(job, tmp_path / "in")
