"""Results as `lgnet bench` makes them, small: of quality with real photos, masks and fillings, and of latency."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lgnet_cli.benchmarks.latency import BETTER, DEFINITIONS
from lgnet_cli.benchmarks.metrics import l1_percent, psnr_db, ssim
from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.imaging.strokes import BUCKETS, random_hole

EXAMPLES = Path(__file__).parent.parent / "examples"
COLUMNS = {"l1_percent": "lower", "psnr_db": "higher", "ssim": "higher", "fid": "lower"}
METRICS: dict[str, Callable[..., float]] = {"l1_percent": l1_percent, "psnr_db": psnr_db, "ssim": ssim}
NAMES = [f"{round(100 * lo)}-{round(100 * hi)}" for lo, hi in BUCKETS]
PUBLISHED = {  # of the paper, CelebA-HQ
    "LGNet": {"l1_percent": [0.46, 1.28, 2.38, 3.72, 5.27, 8.38], "psnr_db": [40.04, 33.99, 30.54, 27.99, 26.01, 23.12],
              "ssim": [0.995, 0.985, 0.968, 0.945, 0.917, 0.849], "fid": [0.39, 1.06, 2.08, 3.16, 4.61, 7.07]},
    "PEN": {"l1_percent": [0.8, 2.15, 3.88, 5.83, 8.02, 11.77], "psnr_db": [35.34, 29.76, 26.79, 24.7, 23.06, 20.85],
            "ssim": [0.988, 0.965, 0.933, 0.894, 0.849, 0.764], "fid": [1.41, 4.19, 8.38, 12.68, 18.73, 23.38]},
}  # fmt: skip


def quality_result(folder: Path, odd_name: str = "camera.png", photos: int = 4) -> dict[str, Any]:
    """The result; its pictures lie below `folder`. One photo is called `odd_name`."""
    engine = open_engine(choose("onnxruntime"))
    methods: dict[str, Callable[..., np.ndarray]] = {
        "lgnet (onnxruntime)": lambda image, mask: engine.fill(image[None], mask[None])[0],
        "telea": lambda image, mask: cv2.inpaint(image, mask, 3, cv2.INPAINT_TELEA),
        "ns": lambda image, mask: cv2.inpaint(image, mask, 3, cv2.INPAINT_NS),
    }
    images: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for number, file in enumerate(sorted((EXAMPLES / "images").iterdir())[:photos]):
        original = _square(file)
        name = odd_name if file.name == "camera.png" else file.name
        for index in range(6):
            mask = random_hole(np.random.default_rng([number, index]), 256, BUCKETS[index]).astype(np.uint8) * 255
            entry = {"image": name, "bucket": NAMES[index], "mask_ratio": float((mask > 0).mean())}
            stem = f"pictures/{number}-{index}"
            paths = {"original": f"{stem}-original.png", "mask": f"{stem}-mask.png"}
            _save(folder, paths["original"], original)
            _save(folder, paths["mask"], mask)
            results = {}
            for method, fill in methods.items():
                filled = fill(original, mask)
                values = {column: metric(filled, original) for column, metric in METRICS.items()}
                images.append({"method": method, "seed": 0, **entry, **values})
                results[method] = f"{stem}-{len(results)}.png"
                _save(folder, results[method], filled)
            pictures.append(entry | paths | {"results": results})
    return {
        "kind": "quality", "lgnet": "0.1.0", "command": ["lgnet", "bench", "quality", "--images", "<odd> & $x_y"],
        "created": "2026-01-01T00:00:00+00:00", "seed": 0,
        "definitions": {"l1_percent": "100 * sum |a-b| / sum |b|", "psnr_db": "20 log10(255 / RMSE), per image",
                        "ssim": "uniform window 51", "fid": "Inception 2015-12-05"},
        "missing": {"fid": "needs weights-inception-2015-12-05-6726825d.pth: place it in --weights-dir"},
        "columns": list(COLUMNS), "better": COLUMNS, "buckets": NAMES,
        "methods": [{"name": m, "published": False, "source": "run here"} for m in methods]
        + [{"name": m, "published": True, "source": "the paper's table on CelebA-HQ"} for m in PUBLISHED],
        "means": {m: _means([row for row in images if row["method"] == m]) for m in methods}
        | {m: _published(columns) for m, columns in PUBLISHED.items()},
        "images": images, "folder": {"original": "pictures"}, "pictures": pictures,
    }  # fmt: skip


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"fid": dict.fromkeys(NAMES)}
    for column in METRICS:
        found[column] = {}
        for bucket in NAMES:
            values = np.array([row[column] for row in rows if row["bucket"] == bucket])
            mean, half = float(values.mean()), float(2 * values.std() / len(values) ** 0.5)
            found[column][bucket] = {"mean": mean, "low": mean - half, "high": mean + half, "count": len(values)}
    return found


def _published(columns: dict[str, list[float]]) -> dict[str, Any]:
    nothing = {"low": None, "high": None, "count": None}
    return {c: {b: {"mean": v} | nothing for b, v in zip(NAMES, values, strict=True)} for c, values in columns.items()}


def _square(file: Path) -> np.ndarray:
    picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)


def _save(folder: Path, name: str, pixels: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), pixels[:, :, ::-1] if pixels.ndim == 3 else pixels)


def latency_result() -> dict[str, Any]:
    """A latency result as `measure` gives it, with a wrong engine that is the fastest, and one that cannot run."""
    row = {"width": 16, "size": 256, "batch": 1, "device": "CPU", "precision": "fp32", "calls_s": [0.1] * 5}
    times = {
        "cold_start_s": 1.0,
        "first_ms": 120.0,
        "p95_ms": 110.0,
        "p99_ms": 112.0,
        "main_memory_mib": 180.0,
        "floor_ms": 50.0,
    }
    right, wrong = {"worst": 1, "psnr_db": 90.0, "agrees": True}, {"worst": 200, "psnr_db": 9.0, "agrees": False}
    rows = [
        row | times | right | {"backend": "onnxruntime", "median_ms": 100.0, "images_s": 10.0},
        row | times | right | {"backend": "torch", "median_ms": 150.0, "images_s": 6.7},
        row | times | wrong | {"backend": "openvino", "median_ms": 7.0, "images_s": 142.9},
        {"width": 16, "size": 256, "batch": 1, "backend": "torch-cuda", "why": "sees no <CUDA> device\n  check it"},
    ]  # fmt: skip
    return {
        "kind": "latency", "lgnet": "0.1.0", "command": ["lgnet", "bench", "latency"], "created": "2026-01-01T00:00:00",
        "machine": {"processor": "x_y & z"}, "versions": {"lgnet": "0.1.0"},
        "peaks": {"matmul_flop_s": 1.6e11, "copy_bytes_s": 1e10}, "options": {"weights": "w"}, "missing": {},
        "definitions": DEFINITIONS, "columns": list(DEFINITIONS), "better": BETTER, "rows": rows,
        "configurations": [{"width": 16, "size": 256, "batch": 1, "flops": 8 * 10**9, "bytes": 3 * 10**7}],
    }  # fmt: skip
