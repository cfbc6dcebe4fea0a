"""What the batch costs around the engine: `lgnet bench pipeline`.

The same JPEGs and masks go through the pipeline with an engine that does nothing, and through a bare loop on
as many threads that only decodes image and mask and encodes the result with OpenCV. All run in turn, so that a machine
that drifts slows all; the figures are medians of each round's ratio.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.engines.protocol import EngineInfo, Pixels
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import SWITCH_SECONDS, Summary, run
from lgnet_cli.processes import Processes
from lgnet_cli.report import Report
from lgnet_cli.stages import Settings
from lgnet_cli.threads import threads

SIZE = (384, 512)  # height, width of the photos
QUALITY = 95  # the pipeline's default, with its full colour resolution


class Nothing:
    """Satisfies `Engine`: gives back what it gets."""

    def __init__(self) -> None:
        self.info = EngineInfo("nothing", "none", "fp32", "multiples of 256", 1 << 24, "")

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        return image

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Rates:
    """Images a second, medians of the rounds, and the medians of each round's ratios."""

    images: int
    threads: int  # of the bare loop, and of the pipeline, or processes
    bare: float
    by_processes: float
    by_threads: float
    ratio_of_processes: float  # to the bare loop
    ratio_of_threads: float
    start_seconds: float  # of the processes, which is no part of the above: they start while an engine loads


def compare(count: int, rounds: int, batch: int) -> Rates:
    """Write `count` JPEGs of 512 x 384 with masks, and run all three ways over them in turn."""
    sys.setswitchinterval(SWITCH_SECONDS)
    rates: list[tuple[float, float, float]] = []
    starts: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder, count)
        for i in range(rounds + 1):
            bare = bare_rate(folder, folder / f"bare{i}")
            started = time.perf_counter()
            processes = Processes(threads())
            processes.wait()
            starts.append(time.perf_counter() - started)
            by_processes = pipeline_rate(folder, folder / f"processes{i}", batch, processes)
            rates.append((bare, by_processes, pipeline_rate(folder, folder / f"threads{i}", batch)))
    counted = np.array(rates[1:])  # the first round warms the disk's cache
    ratios = counted[:, 1:] / counted[:, :1]
    figures = [*np.median(counted, axis=0).tolist(), *np.median(ratios, axis=0).tolist(), statistics.median(starts)]
    return Rates(count, threads(), *figures)


def write_photos(folder: Path, count: int) -> None:
    """Smooth pictures with noise, as photos are, and masks with two holes."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for i in range(count):
        rng = np.random.default_rng(i)
        smooth = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        noisy = (smooth.astype(np.int16) + rng.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i:06}.jpg"), noisy)
        mask = np.zeros(SIZE, np.uint8)
        mask[100:150, 120:200] = 255
        mask[200:230, 150:240] = 255
        cv2.imwrite(str(folder / "masks" / f"{i:06}.png"), mask)


def pipeline_rate(folder: Path, out: Path, batch: int, processes: Processes | None = None) -> float:
    """Images a second of everything `lgnet inpaint` does, from matching to the last line of the report."""
    out.mkdir()
    os.sync()  # none is to write what another left
    started = time.perf_counter()
    report, summary = Report(out), Summary()
    pairs = make_plan(str(folder / "images"), folder / "masks", out).pairs
    run(pairs, Nothing(), Settings(refine="none", quality=QUALITY, batch=batch), report, summary, processes=processes)
    report.close()
    assert summary.filled == len(pairs)
    return len(pairs) / (time.perf_counter() - started)


def bare_rate(folder: Path, out: Path) -> float:
    """Images a second of decoding both and encoding, on the threads that the pipeline has."""
    out.mkdir()
    images = sorted((folder / "images").iterdir())
    os.sync()
    started = time.perf_counter()
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(lambda image: _decode_and_encode(image, folder / "masks", out), images):
            pass
    return len(images) / (time.perf_counter() - started)


def _decode_and_encode(image: Path, masks: Path, out: Path) -> None:
    pixels = cv2.imdecode(np.frombuffer(image.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    mask = (masks / image.name).with_suffix(".png").read_bytes()
    cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR]
    _, data = cv2.imencode(".jpg", pixels, [*options, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])
    (out / image.name).write_bytes(data.tobytes())


def main(count: int, rounds: int, batch: int, as_json: bool) -> None:
    """Print the comparison."""
    rates = compare(count, rounds, batch)
    if as_json:
        print(json.dumps(rates.__dict__ | {"cpus": len(os.sched_getaffinity(0))}))
        return
    ways = [
        ("bare loop", "threads", rates.bare, "(decode image and mask, encode)"),
        ("lgnet", "processes", rates.by_processes, f"{rates.ratio_of_processes:.3f} of it"),
        ("lgnet", "threads", rates.by_threads, f"{rates.ratio_of_threads:.3f} of it"),
    ]
    print(f"{rates.images} JPEGs of {SIZE[1]} x {SIZE[0]}, an engine that does nothing, medians of {rounds} rounds:")
    for name, what, rate, said in ways:
        print(f"  {f'{name}, {rates.threads} {what}':22} {rate:7.1f} images/s   {said}")
    print(f"  the processes start in {rates.start_seconds:.2f} s, while an engine loads")
