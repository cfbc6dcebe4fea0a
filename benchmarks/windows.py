"""What computing NetL around the holes alone saves: `python -m lgnet_cli.benchmarks.windows PHOTOS`.

Needs the `torch` and `openvino` extras. Masks are made up as users draw them, and crops cut as `lgnet inpaint` cuts
them. The graphs with and without windows run in turn (A B A B ...). Engines fill every crop once, with one thread, of
which processor time is counted: other programs do not show in it. The last column is wall time, of whole batches with
ONNX Runtime and all cores; ratio of medians. The last line is everything as JSON.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.benchmarks.contenders import make_weights
from lgnet_cli.engines.export import export_onnx
from lgnet_cli.engines.onnxruntime import OnnxRuntimeEngine
from lgnet_cli.engines.openvino import OpenVinoEngine
from lgnet_cli.engines.protocol import Engine, Pixels
from lgnet_cli.imaging.crops import cut, plan
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.masks import Hole, as_bytes
from lgnet_cli.imaging.strokes import random_hole
from lgnet_cli.model import load
from lgnet_cli.weights import DEFAULT_WEIGHTS

LGNET = str(Path(sys.executable).with_name("lgnet"))
ENGINES: dict[str, Callable[..., Engine]] = {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine}
DEFAULT_WIDTH = 16

Draw = Callable[[np.random.Generator, int, int], Hole]  # (random numbers, height, width) -> (H, W) bool
Crop = tuple[Pixels, Pixels]  # what an engine gets of one: (1, 256, 256, 3) and (1, 256, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--width", type=int, default=DEFAULT_WIDTH, help="base width; random weights if not 16")
    parser.add_argument("--limit", type=int, default=50, help="photos at most")
    parser.add_argument("--crops", type=int, default=40, help="crops a kind of mask that the engines are timed on")
    parser.add_argument("--runs", type=int, default=3, help="batches of each")
    options = parser.parse_args()
    photos = sorted(options.photos.iterdir())[: options.limit]
    print(f"width {options.width}: how many times faster with NetL around the holes alone")
    print("| masks | holes in a crop, % | ONNX Runtime | OpenVINO | lgnet inpaint |\n|---|---|---|---|---|")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        graphs = _graphs(options.width, Path(name))
        for kind, draw in KINDS.items():
            crops = spread(list(crops_of(photos, draw)), options.crops)
            row = {engine: _engine(make, graphs, crops) for engine, make in ENGINES.items()}
            row["batch"] = _batch(photos, draw, graphs, options.runs)
            share = 100 * float(np.mean([mask > 0 for _, mask in crops]))
            print(f"| {kind} | {share:.1f} |", *(f"{times:.2f} |" for times in row.values()), flush=True)
            found[kind] = row | {"holes": share}
    print(json.dumps({"width": options.width, "photos": len(photos), "times faster": found}))


def _pixel(rng: np.random.Generator, height: int, width: int) -> Hole:
    hole = np.zeros((height, width), bool)
    hole[height // 2, width // 2] = True
    return hole


def _object(rng: np.random.Generator, height: int, width: int) -> Hole:
    """An ellipse of 1 to 20 % of the photo, up to twice as long as wide, anywhere in it."""
    area = np.exp(rng.uniform(np.log(0.01), np.log(0.2))) * height * width
    long = np.sqrt(area / np.pi * rng.uniform(1, 2))
    short = area / np.pi / long
    centre = (int(rng.uniform(0.15, 0.85) * width), int(rng.uniform(0.15, 0.85) * height))
    canvas = np.zeros((height, width), np.uint8)
    cv2.ellipse(canvas, centre, (round(long), round(short)), rng.uniform(0, 180), 0, 360, 1, -1)
    return canvas.astype(bool)


def _strokes(lo: float, hi: float) -> Draw:
    def draw(rng: np.random.Generator, height: int, width: int) -> Hole:
        return random_hole(rng, max(height, width), (lo, hi), objects=0)[:height, :width]

    return draw


def _scratches(rng: np.random.Generator, height: int, width: int) -> Hole:
    """Nearly straight lines of 2 to 6 pixels all over the photo, until 1 to 5 % are covered."""
    canvas, share = np.zeros((height, width), np.uint8), rng.uniform(0.01, 0.05)
    while canvas.mean() < share:
        angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-0.2, 0.2, 6).cumsum()
        steps = rng.uniform(20, 80, (6, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        line = rng.uniform(0, 1, 2) * (width, height) + steps.cumsum(axis=0)
        cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, 1, int(rng.integers(2, 7)))
    return canvas.astype(bool)


KINDS: dict[str, Draw] = {
    "one pixel: all there is to save": _pixel,
    "an object, 1-20 %": _object,
    "strokes, 1-10 %": _strokes(0.01, 0.1),
    "strokes, 10-20 %": _strokes(0.1, 0.2),
    "scratches, 1-5 %": _scratches,
}


def _graphs(width: int, folder: Path) -> dict[str, Path]:
    weights = DEFAULT_WEIGHTS if width == DEFAULT_WIDTH else make_weights(width, folder)
    paths = {name: folder / f"{name}.onnx" for name in ("everywhere", "around")}
    for name, path in paths.items():
        export_onnx(load(weights), path, windows=name == "around")
    return paths


def crops_of(photos: list[Path], draw: Draw) -> Iterator[Crop]:
    rng = np.random.default_rng(0)
    for path in photos:
        picture = decode(path.read_bytes(), path)
        hole = draw(rng, picture.height, picture.width)
        for crop in plan(hole):
            image, mask = cut(picture, hole, crop)
            yield image[None], mask[None]


def spread(crops: list[Crop], count: int) -> list[Crop]:
    return crops[:: max(1, len(crops) // count)][:count]


def _engine(make: Callable[..., Engine], graphs: dict[str, Path], crops: list[Crop]) -> float:
    """How many times faster an engine fills the crops, one a call."""
    engines = {name: make(path, threads=1) for name, path in graphs.items()}
    for engine in engines.values():
        engine.fill(*crops[-1])  # the first call allocates
    totals = dict.fromkeys(engines, 0.0)
    for crop in crops:
        for name, engine in engines.items():
            started = time.process_time()
            engine.fill(*crop)
            totals[name] += time.process_time() - started
    return totals["everywhere"] / totals["around"]


def _batch(photos: list[Path], draw: Draw, graphs: dict[str, Path], runs: int) -> float:
    """How many times faster `lgnet inpaint` is with ONNX Runtime, from the first photo to the last."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(0)
        for part in ("images", "masks"):
            (folder / part).mkdir()
        for path in photos:
            shutil.copyfile(path, folder / "images" / path.name)
            picture = decode(path.read_bytes(), path)
            hole = draw(rng, picture.height, picture.width)
            cv2.imwrite(str(folder / "masks" / f"{path.stem}.png"), as_bytes(hole))
        seconds: dict[str, list[float]] = {name: [] for name in graphs}
        for _ in range(runs):
            for graph, path in graphs.items():
                seconds[graph].append(_inpaint(folder, path))
    return statistics.median(seconds["everywhere"]) / statistics.median(seconds["around"])


def _inpaint(folder: Path, graph: Path) -> float:
    arguments = [folder / "images", folder / "masks", "-o", folder / "out", "--engine", graph, "--overwrite", "--json"]
    command = [LGNET, "inpaint", "--refine", "none", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["seconds"])


if __name__ == "__main__":
    main()
