"""Latency: the times are those that passed, a wrong engine is found out, and what cannot run says why."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakes import PaintEngine, SlowEngine, SmallMemoryEngine
from lgnet_cli.benchmarks import machine
from lgnet_cli.benchmarks.compare import agreement, compare
from lgnet_cli.benchmarks.contenders import make_weights, open_contender, pictures, reference
from lgnet_cli.benchmarks.cost import cost
from lgnet_cli.benchmarks.latency import Options, open_engines
from lgnet_cli.benchmarks.timing import interleaved
from lgnet_cli.engines.select import cuda_devices
from lgnet_cli.errors import MissingBackend
from lgnet_cli.main import app

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_sleeping_engine_has_the_median_it_sleeps() -> None:
    image, mask = pictures(2, 256)
    right = PaintEngine().fill(image, mask)
    slow, fast = SlowEngine(0.08), SlowEngine(0.02)
    rows = {row["backend"]: row for row in compare({"slow": slow, "fast": fast}, image, mask, right, 7, 60)}
    for name, milliseconds in (("slow", 80), ("fast", 20)):
        assert milliseconds <= rows[name]["median_ms"] < milliseconds + 15  # waking late on a busy machine
        assert rows[name]["median_ms"] <= rows[name]["p95_ms"] <= rows[name]["p99_ms"]
        assert rows[name]["images_s"] == pytest.approx(2000 / rows[name]["median_ms"])
        assert len(rows[name]["calls_s"]) == 7
        assert (rows[name]["worst"], rows[name]["psnr_db"], rows[name]["agrees"]) == (0, 100, True)


def test_calls_take_turns_and_the_warm_up_does_not_count() -> None:
    said: list[str] = []

    def first() -> None:
        if not said:
            time.sleep(0.3)  # as a first call that compiles
        said.append("A")

    taken = interleaved({"A": first, "B": lambda: said.append("B")}, 3)
    assert said == ["A", "B"] * 4
    assert max(taken["A"]) < 0.2
    assert len(interleaved({"A": lambda: time.sleep(0.1)}, 50, seconds=0.2, least=3)["A"]) == 3


class CheatingEngine(PaintEngine):
    """Right in the holes, but changes one known pixel."""

    def fill(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        filled = super().fill(image, mask)
        filled[0, 0, 0] ^= 1
        return filled


def test_a_wrong_engine_is_found_out_and_one_that_fails_says_why() -> None:
    image, mask = pictures(2, 256)
    right = PaintEngine((200, 100, 50)).fill(image, mask)
    engines = {
        "off by one": PaintEngine((201, 100, 49)), "wrong": PaintEngine((200, 100, 150)),
        "cheating": CheatingEngine((200, 100, 50)), "small": SmallMemoryEngine(1),
    }  # fmt: skip
    rows = {row["backend"]: row for row in compare(engines, image, mask, right, 3, 60)}
    assert (rows["off by one"]["worst"], rows["off by one"]["agrees"]) == (1, True)
    assert (rows["wrong"]["worst"], rows["wrong"]["agrees"]) == (100, False)
    assert rows["wrong"]["psnr_db"] == pytest.approx(20 * np.log10(255) - 10 * np.log10(100**2 / 3))
    assert (rows["cheating"]["known_pixels_changed"], rows["cheating"]["agrees"]) == (1, False)
    assert rows["small"]["why"] == "out of memory"
    assert "median_ms" not in rows["small"]


def test_without_pytorch_agreement_is_not_claimed() -> None:
    image, mask = pictures(1, 256)
    found = agreement(PaintEngine().fill(image, mask), None, image, mask)
    assert (found["agrees"], found["worst"], found["psnr_db"]) == (None, None, None)


@pytest.mark.parametrize(("width", "gmac"), [(16, 3.9), (64, 43.1)])
def test_the_arithmetic_is_the_published_one(width: int, gmac: float) -> None:
    """43.1 GMAC at 256 x 256 and width 64, attention's products included; a MAC is two operations."""
    found = cost(width, 256, 1)
    assert found.flops / 2e9 == pytest.approx(gmac, rel=0.015)  # figures of two and three digits
    assert cost(width, 256, 4).flops == 4 * found.flops
    assert cost(width, 256, 4).bytes - found.bytes == 3 * 256 * 256 * 7
    parameters = {16: 7.2e6, 64: 114.97e6}[width]
    assert found.bytes == pytest.approx(4 * parameters + 256 * 256 * 7, rel=0.005)


def test_the_machine_multiplies_and_copies() -> None:
    assert 1e9 < machine.matmul_peak(2) < 1e14  # a slow core to a large server
    assert 1e8 < machine.copy_rate(2) < 1e13
    assert "CPUs usable" in machine.describe()["processor"]
    assert machine.versions()["numpy"] == np.__version__


def test_a_large_batch_repeats_its_pictures() -> None:
    image, mask = pictures(6, 256)
    np.testing.assert_array_equal(image[4:], image[:2])
    assert (image[0] != image[1]).mean() > 0.9
    assert mask.shape == (6, 256, 256)
    assert (mask != 0).mean() == 0.25


@pytest.mark.slow  # half a minute of exports
def test_random_weights_tell_engines_apart(tmp_path: Path) -> None:
    weights = make_weights(2, tmp_path)
    image, mask = pictures(1, 256)
    right = reference(weights, image, mask)
    assert right[mask != 0].std() > 10  # of 255: signals are alive
    for name in ("onnxruntime", "upstream"):
        engine = open_contender(name, weights)
        assert agreement(engine.fill(image, mask), right, image, mask)["agrees"]
        engine.close()
    other = np.where(mask[..., None] != 0, np.uint8(right[mask != 0].mean()), image)
    assert not agreement(other, right, image, mask)["agrees"]  # grey at the right level is not enough


@pytest.mark.slow
def test_the_command_measures_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, which coverage sees; the engine's start and `lgnet inpaint` run in processes of their own."""
    few = ["--runs", "3", "--images", "2", "--starts", "1", "--json", "-o", str(tmp_path)]
    app(["bench", "latency", "--backend", "onnxruntime", *few], standalone_mode=False)
    result = json.loads(capsys.readouterr().out)
    (row,) = result["rows"]
    assert (row["backend"], row["width"], row["agrees"], row["known_pixels_changed"]) == ("onnxruntime", 16, True, 0)
    assert row["worst"] <= 1  # of 255, as for every back end
    assert row["first_ms"] > 0.5 * row["median_ms"] > 0
    assert row["cold_start_s"] > 0.1  # an interpreter and its libraries
    assert row["main_memory_mib"] > 50
    assert 0 < row["reached_percent"] == pytest.approx(100 * row["floor_ms"] / row["median_ms"])
    assert 0 < row["inpaint_images_s"] < 10 * row["images_s"]  # the machine may drift between the two
    assert result["columns"] == list(result["definitions"])
    assert {file.name for file in tmp_path.iterdir()} == {
        f"latency.{end}" for end in ("json", "md", "tex", "csv", "html")
    }
    assert json.loads((tmp_path / "latency.json").read_text()) == result


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device")
def test_all_says_why_and_a_named_one_must_be_there() -> None:
    engines, refused = open_engines(Options(), None)
    assert "onnxruntime" in engines
    assert ("torch-cuda", True) in [(row["backend"], "sees no CUDA device" in row["why"]) for row in refused]
    with pytest.raises(MissingBackend, match="sees no CUDA device"):
        open_engines(Options(backends=("torch-cuda",)), None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "onnx"], "no back end is called"),
        (["--size", "300"], "multiples of 256"),
        (["--batch", "1,two"], "whole numbers"),
        (["--batch", "0"], "whole numbers"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(lgnet: Command, arguments: list[str], said: str) -> None:
    done = lgnet("bench", "latency", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_bench_alone_wants_photos(lgnet: Command, tmp_path: Path) -> None:
    done = lgnet("bench", cwd=tmp_path)
    assert done.returncode == 2
    assert "examples/images" in done.stderr
    assert "--images DIR" in done.stderr
