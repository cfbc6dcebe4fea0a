"""`lgnet inpaint` itself, from decoding to encoding, in processes of its own."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from lgnet_cli.benchmarks.contenders import DISTINCT, pictures
from lgnet_cli.benchmarks.once import NEUTRAL
from lgnet_cli.benchmarks.timing import interleaved

LGNET = [sys.executable, "-c", "from lgnet_cli.main import main; main()"]
"""The command of this very environment, whatever the PATH says."""


@dataclass(frozen=True)
class Rate:
    """Of `lgnet inpaint` on a folder of PNGs, its start and the loading of the model left out."""

    inpaint_images_s: float
    engine_busy_percent: float  # share of the time in which the engine computes


def rates(
    names: list[str], weights: Path | None, size: int, batch: int, count: int, rounds: int
) -> dict[str, Rate | str]:
    """Fill `count` photos of `size` x `size` as a user would, with each back end in turn.

    Returns:
        {back end: medians over `rounds` batches, or why there are none}.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, size, count)
        said: dict[str, list[Rate | str]] = {name: [] for name in names}
        calls = {name: _call(folder, name, weights, batch, count, said[name]) for name in names}
        interleaved(calls, rounds, warm_up=0)
    return {name: _median(found) for name, found in said.items()}


def _call(
    folder: Path, name: str, weights: Path | None, batch: int, count: int, said: list[Rate | str]
) -> Callable[[], None]:
    command = [*LGNET, "inpaint", str(folder / "images"), str(folder / "masks"), "-o", str(folder / name), "--json"]
    command += ["--overwrite", "--refine", "none", "--hd", "original", "--backend", name, "--batch", str(batch)]
    command += ["--weights", str(weights.resolve())] if weights else []

    def call() -> None:
        done = subprocess.run(command, cwd=NEUTRAL, capture_output=True, text=True, check=False)
        if done.returncode:
            said.append(f"lgnet inpaint failed: {done.stderr.strip()}")
            return
        summary = json.loads(done.stdout)
        said.append(Rate(count / summary["seconds"], 100 * summary["engine_seconds"] / summary["seconds"]))

    return call


def _median(found: list[Rate | str]) -> Rate | str:
    good = [rate for rate in found if isinstance(rate, Rate)]
    if len(good) < len(found):
        return next(words for words in found if isinstance(words, str))
    return Rate(*(statistics.median(getattr(rate, name) for rate in good) for name in Rate.__dataclass_fields__))


def _write(folder: Path, size: int, count: int) -> None:
    images, masks = pictures(min(count, DISTINCT), size)
    for part, arrays in (("images", images), ("masks", masks)):
        (folder / part).mkdir()
        for number in range(count):
            cv2.imwrite(str(folder / part / f"{number:05}.png"), arrays[number % len(arrays)])
