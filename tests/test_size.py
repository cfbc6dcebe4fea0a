"""Many images, and large ones: time and memory do not grow with what need not be looked at."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes import PaintEngine
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import NAME, Record, Report, key_of
from lgnet_cli.stages import Settings

LGNET = str(Path(sys.executable).with_name("lgnet"))


def many(folder: Path, count: int) -> tuple[Path, Path]:
    """`count` images of 16 x 16 and their masks: hard links to a few files, each as often as a file system allows."""
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8, 4:8] = 255
    for name, pixels in (("images", np.full((16, 16, 3), 90, np.uint8)), ("masks", mask)):
        (folder / name).mkdir()
        data = cv2.imencode(".png", pixels)[1].tobytes()
        for i in range(count):
            if i % 50_000 == 0:
                source = folder / name / f"{i:07}.png"
                source.write_bytes(data)
            else:
                os.link(source, folder / name / f"{i:07}.png")
    return folder / "images", folder / "masks"


def peak_and_times(folder: Path, count: int) -> tuple[float, float, float]:
    """(MiB at the peak, seconds of processor and of wall before the first image) of a process that paints few of them.

    The others are passed over by --shard, as the batch passes over those that are done: all are matched and checked.
    """
    images, masks = many(folder, count)
    code = f"""
import sys, time
from pathlib import Path
from fakes import PaintEngine
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.stages import Settings
from lgnet_cli.report import Report
class First(PaintEngine):
    at = wall = 0.0
    def fill(self, image, mask):
        self.at, self.wall = self.at or time.process_time(), self.wall or time.time() - float(sys.argv[1])
        return super().fill(image, mask)
engine, out = First(), Path({str(folder / "out")!r})
out.mkdir()
plan = make_plan({str(images)!r}, Path({str(masks)!r}), out, None, (1, {count // 2000}))
run(plan.pairs, engine, Settings(refine="none"), Report(out), Summary())
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) / 1024, engine.at, engine.wall)  # getrusage would count the process this was forked from
"""
    here = Path(__file__).parent
    command = [sys.executable, "-c", code, str(time.time())]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    peak, first, wall = map(float, done.stdout.split())
    return peak, first, wall


@pytest.mark.parametrize("count", [8_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_memory_does_not_follow_the_number_of_images(tmp_path: Path, count: int) -> None:
    for name in ("few", "many"):
        (tmp_path / name).mkdir()
    few, *_ = peak_and_times(tmp_path / "few", 2000)
    peak, first, wall = peak_and_times(tmp_path / "many", count)
    print(
        f"{count} images: peak {peak:.0f} MiB against {few:.0f} of 2,000; first image {wall:.1f} s after the start, "
        f"{first:.1f} s of processor"
    )
    # The names of one folder are held while it is matched, before the first image is decoded: 500 bytes an image.
    assert peak < few + 500 * count / 2**20 + 10
    assert first < 2 + 4 * count / 200_000  # imports take 1 s, 200,000 pairs 1 s, twice that on a busy machine


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_is_done_is_passed_over_soon(tmp_path: Path, count: int) -> None:
    images, masks = many(tmp_path, count)
    out, engine, settings = tmp_path / "out", PaintEngine(), Settings(refine="none")
    out.mkdir()
    fixed = settings.fixed_part(engine.info.weights_sha256)
    with (out / NAME).open("w") as file:
        for pair in make_plan(str(images), masks, out).pairs:
            pair.output.write_bytes(b"x")
            record = Record("i", "m", str(pair.output), "filled", bytes=1, key=key_of(pair, fixed))
            file.write(json.dumps(record.__dict__) + "\n")
    started, wall = time.process_time(), time.perf_counter()
    report, summary = Report(out), Summary()
    run(make_plan(str(images), masks, out).pairs, engine, settings, report, summary)
    seconds, wall = time.process_time() - started, time.perf_counter() - wall
    report.close()
    print(f"{count} done images passed over in {wall:.1f} s, {seconds:.1f} s of processor")
    assert (summary.skipped, summary.filled) == (count, 0)
    assert seconds < 2 * 5 * count / 100_000 + 0.5  # the goal is 5 s for 100,000; doubled for a busy machine


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photo_of_108_megapixels_takes_three_times_its_pixels(tmp_path: Path, suffix: str) -> None:
    """40 holes in 12,000 x 9,000, by the real command with its model loaded."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / f"i.{suffix}"), cv2.resize(small, (12000, 9000)))
    mask = np.zeros((9000, 12000), np.uint8)
    for _ in range(40):
        cv2.circle(mask, (int(rng.integers(12000)), int(rng.integers(9000))), int(rng.integers(20, 150)), 255, -1)
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    command = [LGNET, "inpaint", str(tmp_path / f"i.{suffix}"), str(tmp_path / "m.png"), "-o", str(tmp_path / "out")]
    code = f"""
import resource, subprocess
subprocess.run({command!r}, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / (12000 * 9000 * 3))
"""
    ratio = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    print(f"{suffix}: peak memory {ratio:.2f} times the decoded photo")
    assert ratio < 3


def test_scratches_across_a_large_photo_are_planned_soon(planned: Callable[[int], float]) -> None:
    """40 lines across the photo: no step looks at the photo once a line."""
    one, many_lines = planned(1), planned(40)
    assert many_lines < 8 * one + 1  # processor seconds; 1.5 times at 27 MP; one look a line would be 20 times


@pytest.fixture
def planned() -> Callable[[int], float]:
    """`planned(n)`: processor seconds of planning n long scratches on 27 megapixels."""
    from lgnet_cli.imaging.crops import plan

    def seconds(lines: int) -> float:
        rng, mask = np.random.default_rng(0), np.zeros((4500, 6000), np.uint8)
        for _ in range(lines):
            ends = [(int(rng.integers(6000)), int(rng.integers(4500))) for _ in range(2)]
            cv2.line(mask, ends[0], ends[1], 255, 5)
        started = time.process_time()
        plan(mask > 0)
        return time.process_time() - started

    return seconds
