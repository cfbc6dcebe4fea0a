"""`lgnet doctor --gpu-check`, every step on a fake device: what it finds, and what it leaves when a step fails."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine
from rich.console import Console

from lgnet_cli.engines.cost import Cost
from lgnet_cli.engines.machine import Gpu, Machine
from lgnet_cli.engines.nvidia.check import gpu_check
from lgnet_cli.engines.nvidia.findings import Thoroughness
from lgnet_cli.engines.nvidia.surroundings import end_to_end
from lgnet_cli.engines.nvidia.timing import Pace, Times, least_seconds
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import EngineError, MissingBackend, ModelError
from lgnet_cli.weights import DEFAULT_GRAPH

Said = tuple[Console, io.StringIO]
ONCE = Pace(warm=0, measure=0, batches=(1, 8, 16, 32))
QUICK = Thoroughness(ONCE, Pace(0, 0, (1, 16)), pictures=3, wide=False)
CARD = Gpu("Fake GPU", "8.9", "13.0", 24 << 30, 128, 2.52e9, 1008e9)
COMMAND = """
import json, sys
from pathlib import Path
images, masks = map(Path, sys.argv[2:4])
assert sys.argv[1] == "inpaint" and len(list(images.iterdir())) == len(list(masks.iterdir())) == 3
assert Path(sys.argv[sys.argv.index("--engine") + 1]).is_file()
print(json.dumps({"seconds": 1.5 if "--processes" in sys.argv else 1.0, "engine_seconds": 0.9}))
"""


@pytest.fixture
def trt() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


@pytest.fixture
def said() -> Said:
    text = io.StringIO()
    return Console(file=text, width=300, highlight=False, soft_wrap=True), text


def machine(trt: FakeTensorRT, *missing: str) -> Machine:
    return replace(fake_machine(trt, missing=("torch-tensorrt", *missing)), gpu=CARD)


def check(
    where: Machine, graph: Path, said: Said, folder: Path, how: Thoroughness = QUICK, backend: str | None = None
) -> dict[str, Any]:
    report = folder / "report.json"
    gpu_check(where, graph, backend, report, said[0], how, [sys.executable, "-c", COMMAND])
    return report_in(folder)


def report_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_every_engine_is_built_held_and_timed_and_all_of_it_reported(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    found = check(machine(trt), tiny, said, tmp_path)
    assert found["good"] is True
    assert found["surroundings"]["parts"]["GPU"] == "Fake GPU, compute capability 8.9, 24 GiB"
    assert {"processor", "cores", "system", "driver calls by", "nvidia-smi"} <= found["surroundings"].keys()
    assert list(found["steps"]) == ["tensorrt fp16", "tensorrt-rtx fp16", "end to end"]  # a graph has one precision
    step = found["steps"]["tensorrt fp16"]
    wanted = {"build seconds", "load seconds", "load seconds, again", "free and all bytes of the GPU, loaded"}
    assert wanted <= step.keys()
    assert step["sidecar"]["flavour"] == "tensorrt"
    assert (step["verdict"]["good"], step["two runs are equal"], step["beware"]) == (True, True, "")
    assert set(step["milliseconds"]) == {"1", "8", "16", "32"}
    assert step["layers"] == {
        "file": "report-tensorrt-fp16-layers.json", "all": 3, "attention": 1, "reformatting": 1,
    }  # fmt: skip
    assert json.loads((tmp_path / step["layers"]["file"]).read_text())["Format"] == "JSON"
    many = {"calls", "median", "p95", "p99", "compute", "copies", "least, computed", "of the least"}
    assert step["milliseconds"]["16"].keys() == many
    assert "compute" not in step["milliseconds"]["32"]  # two batches: there is no one time of the device
    assert set(found["steps"]["tensorrt-rtx fp16"]["milliseconds"]) == {"1", "16"}
    assert "inf dB" in found["steps"]["tensorrt-rtx fp16"]["against tensorrt fp16"]
    runs = found["steps"]["end to end"]["runs"]
    assert (runs["threads"]["images/s"], runs["by itself"]["images/s"]) == (2.0, 3.0)
    assert runs["by itself"]["engine busy, share"] == 0.9
    for words in ("worst crop, dB", "batch 16, ms", "of the least", "tensorrt fp16", "tensorrt-rtx fp16", "3.0"):
        assert words in said[1].getvalue()


def test_a_step_that_fails_is_reported_and_the_next_is_done(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    trt.fails.add("wrong")
    with pytest.raises(ModelError, match="the engine differs from the model"):
        check(machine(trt), tiny, said, tmp_path)
    found = report_in(tmp_path)
    assert found["good"] is False
    assert "differs from the model" in found["steps"]["tensorrt fp16"]["error"]
    assert found["steps"]["tensorrt fp16"]["sidecar"]["flavour"] == "tensorrt"  # what was found before it failed
    assert "differs from the model" in found["steps"]["tensorrt-rtx fp16"]["error"]
    assert "runs" in found["steps"]["end to end"]
    assert "failed" in said[1].getvalue()


def test_an_error_of_the_device_leaves_its_words(tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    trt.driver.fails.add("memcpy_dtoh_async")
    with pytest.raises(EngineError):
        check(machine(trt), tiny, said, tmp_path)
    assert "illegal memory access" in report_in(tmp_path)["steps"]["tensorrt fp16"]["error"]


def test_the_report_is_written_after_each_step(tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    """What a GPU that takes the process down leaves."""
    seen: list[list[str]] = []

    def look(filled: Pixels, masks: Pixels, stream: int) -> Pixels:
        seen.append(list(report_in(tmp_path)["steps"]) if (tmp_path / "report.json").exists() else [])
        return filled

    trt.spoil = look
    check(machine(trt), tiny, said, tmp_path)
    assert [] in seen
    assert ["tensorrt fp16"] in seen


def test_no_step_is_begun_after_its_time(tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path) -> None:
    found = check(machine(trt), tiny, said, tmp_path, replace(QUICK, seconds=0))
    assert all("over the time limit of 0 s" in step["skipped"] for step in found["steps"].values())
    assert "skipped" in said[1].getvalue()


def test_what_is_missing_is_said_and_nothing_is_built(
    tiny: Path, trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    for where, words in (
        (machine(trt, "driver"), "no NVIDIA driver"),
        (machine(trt, "tensorrt", "tensorrt-rtx"), "cannot be used here"),
        (fake_machine(trt, gpu=False), "there is no GPU here"),
    ):
        with pytest.raises(MissingBackend, match=words):
            check(where, tiny, said, tmp_path)
        assert words in report_in(tmp_path)["error"]
    assert trt.config is None
    assert list(check(machine(trt, "tensorrt"), tiny, said, tmp_path)["steps"]) == ["tensorrt-rtx fp16", "end to end"]
    named = check(machine(trt), tiny, said, tmp_path, backend="tensorrt")
    assert list(named["steps"]) == ["tensorrt fp16", "end to end"]


def test_the_whole_command_is_measured_as_it_is_typed(tmp_path: Path) -> None:
    """On the engine of this machine, which is a CPU's."""
    found: dict[str, Any] = {}
    end_to_end(DEFAULT_GRAPH, tmp_path, 2, None, found)
    for run in found["runs"].values():
        assert run["said"]["filled"] == 2
        assert run["images/s"] > 0
        assert 0 < run["engine busy, share"] <= 1
    with pytest.raises(EngineError, match=r"ended with 5: (.|\n)*no such file"):
        end_to_end(tmp_path / "none.onnx", tmp_path, 1, None, {})


@pytest.mark.slow
def test_weights_are_checked_in_both_precisions_and_at_the_papers_width(
    trt: FakeTensorRT, said: Said, tmp_path: Path
) -> None:
    """The default weights. Plans that run their graphs are slow on a CPU, so these only paint, and are found out."""
    trt.fails.add("wrong")
    how = replace(QUICK, wide=True, pictures=0, seconds=1e6)
    with pytest.raises(ModelError, match="differs from the model"):
        gpu_check(machine(trt), None, "tensorrt", tmp_path / "report.json", said[0], how)
    steps = report_in(tmp_path)["steps"]
    assert list(steps) == ["tensorrt fp16", "tensorrt fp32", "width 64, tensorrt fp16"]
    assert steps["width 64, tensorrt fp16"]["sidecar"]["attention"] == "fused"
    assert set(steps["width 64, tensorrt fp16"]["milliseconds"]) == {"1", "16"}


def test_the_roofline_is_the_makers_peak() -> None:
    """4090: 165.2 TFLOP/s in half with sums in float32 and 1008 GB/s; A100: 312; H100: 989.4; T4: 65."""
    arithmetic = Cost(half_flops=10**12, float_flops=0, weight_bytes=0, border_bytes=0, peak_bytes=0)
    for gpu, peak in (
        (CARD, 165.2e12),
        (Gpu("A100", "8.0", "13.0", 80 << 30, 108, 1.41e9, 2039e9), 312e12),
        (Gpu("H100", "9.0", "13.0", 80 << 30, 132, 1.83e9, 3350e9), 989.4e12),
        (Gpu("T4", "7.5", "13.0", 16 << 30, 40, 1.59e9, 320e9), 65e12),
    ):
        assert least_seconds(arithmetic, gpu) == pytest.approx(1e12 / peak, rel=0.02)  # clocks there are rounded
    traffic = Cost(half_flops=0, float_flops=0, weight_bytes=1008 * 10**6, border_bytes=0, peak_bytes=0)
    assert least_seconds(traffic, CARD) == pytest.approx(0.001)
    assert least_seconds(traffic, replace(CARD, clock=0)) is None
    assert least_seconds(traffic, replace(CARD, capability="13.0")) is None


def test_percentiles_are_those_of_the_calls() -> None:
    times = Times(wall=[i / 1000 for i in range(1, 101)], compute=[0.002, 0.004, 0.003], copies=[0.001] * 3)
    found = times.summary()
    assert found == {"calls": 100, "median": 50.5, "p95": 96.0, "p99": 100.0, "compute": 3.0, "copies": 1.0}
    assert Times(wall=[0.5]).summary()["p99"] == 500
