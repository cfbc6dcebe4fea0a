"""What lgnet costs on this machine: `python -m lgnet_cli.benchmarks.speed`; needs the `torch` extra.

Whatever is compared runs in turn (A B A B ...) in one process or one loop, so that a machine that drifts slows both;
figures are medians, and claims are ratios. The last line is everything as JSON.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch

from lgnet_cli.benchmarks.upstream import plain
from lgnet_cli.engines.export import EightBit, export_onnx
from lgnet_cli.engines.onnxruntime import OnnxRuntimeEngine
from lgnet_cli.engines.openvino import OpenVinoEngine
from lgnet_cli.model import LGNet, load
from lgnet_cli.weights import DEFAULT_GRAPH, DEFAULT_WEIGHTS

LGNET = str(Path(sys.executable).with_name("lgnet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="timed calls of each, after one that warms up")
    parser.add_argument("--images", type=int, default=200, help="PNGs of 256 x 256 for the batch")
    options = parser.parse_args()
    names = ("torch", "onnxruntime", "openvino", "opencv-python-headless", "numpy")
    found: dict[str, object] = {"machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs"}
    found |= {name: version(name) for name in names}
    print(found)
    for width in (16, 64):
        found[f"engines w={width}"] = engines(width, options.runs)
    found["batch"] = batch(options.images, options.runs)
    found["cold start"] = cold_start(options.runs)
    found["help"] = help_time(3 * options.runs)
    print(json.dumps(found))


def engines(width: int, runs: int) -> dict[str, float]:
    """Seconds an image of 256 x 256, batch 1: upstream's formulas in PyTorch, and each engine."""
    torch.manual_seed(0)
    model = load(DEFAULT_WEIGHTS) if width == 16 else LGNet(width).eval()
    image, mask = _pair()
    upstream = EightBit(plain(model)).eval()

    @torch.inference_mode()
    def run_upstream() -> None:
        upstream(torch.from_numpy(image), torch.from_numpy(mask))

    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "m.onnx")
        export_onnx(model, graph)
        loaded = {"onnxruntime": OnnxRuntimeEngine(graph), "openvino": OpenVinoEngine(graph)}
        calls: dict[str, Callable[[], object]] = {"upstream": run_upstream}
        calls |= {name: lambda engine=engine: engine.fill(image, mask) for name, engine in loaded.items()}  # type: ignore[misc]
        medians = _interleaved(calls, runs)
    print(f"w={width}, seconds an image (and share of upstream's):")
    for name, seconds in medians.items():
        print(f"  {name:12} {seconds:.4f}  {seconds / medians['upstream']:.3f}")
    return medians


def batch(count: int, runs: int) -> dict[str, float]:
    """Images a second of `lgnet inpaint` on PNGs of 256 x 256, beside the bare engine in a loop; peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("images", "masks"):
            (folder / part).mkdir()
        for i in range(count):
            image, mask = _pair(i)
            cv2.imwrite(str(folder / "images" / f"{i:05}.png"), image[0])
            cv2.imwrite(str(folder / "masks" / f"{i:05}.png"), mask[0])
        engine = OnnxRuntimeEngine(DEFAULT_GRAPH)
        rates: dict[str, list[float]] = {"bare": [], "lgnet": [], "share": [], "engine busy": []}
        for run in range(max(3, runs // 2)):
            bare = _bare_rate(engine, count)
            said = json.loads(_lgnet(folder / "images", folder / "masks", "-o", folder / str(run), "--json"))
            rates["bare"].append(bare)
            rates["lgnet"].append(count / said["seconds"])
            rates["share"].append(rates["lgnet"][-1] / bare)
            rates["engine busy"].append(said["engine_seconds"] / said["seconds"])
        result = {name: statistics.median(values) for name, values in rates.items()}
        result["peak MiB"] = _peak(folder)
    print(f"batch of {count}: ", {name: round(value, 3) for name, value in result.items()})
    return result


def cold_start(runs: int) -> dict[str, float]:
    """Seconds of wall time from typing `lgnet inpaint` for one image of 256 x 256 to its end."""
    with tempfile.TemporaryDirectory() as name:
        image, mask = _pair()
        files = [Path(name, "i.png"), Path(name, "m.png")]
        cv2.imwrite(str(files[0]), image[0])
        cv2.imwrite(str(files[1]), mask[0])
        seconds = _interleaved({"one": lambda: _lgnet(*files, "-o", Path(name, "o.png"), "--overwrite")}, runs)["one"]
    print(f"one image from a cold start: {seconds:.2f} s")
    return {"seconds": seconds}


def help_time(runs: int) -> dict[str, float]:
    """Seconds of `lgnet --help`, beside those of importing what it is made of."""
    calls = {
        "import typer, rich": lambda: subprocess.run([sys.executable, "-c", "import typer, rich"], check=True),
        "lgnet --help": lambda: subprocess.run([LGNET, "--help"], check=True, stdout=subprocess.DEVNULL),
    }
    medians = _interleaved(calls, runs)
    medians["ratio"] = medians["lgnet --help"] / medians["import typer, rich"]
    print({name: round(value, 3) for name, value in medians.items()})
    return medians


def _interleaved(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds of each call, run in turn after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for run in range(runs + 1):
        for name, call in calls.items():
            time.sleep(0.1)  # the other's threads may still spin, waiting for more
            started = time.perf_counter()
            call()
            if run:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _peak(folder: Path) -> float:
    """MiB of the batch at its largest, asked by a small process of its own: a child inherits its parent's peak."""
    command = [
        "inpaint",
        "--refine",
        "none",
        str(folder / "images"),
        str(folder / "masks"),
        "-o",
        str(folder / "peak"),
        "--json",
    ]
    code = f"""
import resource, subprocess
subprocess.run({[LGNET, *command]!r}, check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def _bare_rate(engine: OnnxRuntimeEngine, count: int) -> float:
    image, mask = _pair()
    engine.fill(image, mask)
    started = time.perf_counter()
    for _ in range(count):
        engine.fill(image, mask)
    return count / (time.perf_counter() - started)


def _lgnet(*arguments: object) -> str:
    command = [LGNET, "inpaint", "--refine", "none", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A photo-like picture, smooth with noise, and a mask with a quarter of holes: (1, 256, 256, 3), (1, 256, 256)."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
    image = (smooth.astype(np.int64) + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((256, 256), np.uint8)
    mask[64:192, 64:192] = 255
    return image[None], mask[None]


if __name__ == "__main__":
    main()
