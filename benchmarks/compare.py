"""Engines side by side on one batch: how fast, and whether they compute what the PyTorch model computes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lgnet_cli.benchmarks.timing import interleaved
from lgnet_cli.engines.protocol import Engine, Pixels
from lgnet_cli.errors import EngineError

AGREES_DB = 40.0
"""PSNR in the holes from which on an engine computes the same model. All off by one level is 48 dB; half precision
loses a few more; a wrong operator, layout or precision is far below."""


def compare(
    engines: Mapping[str, Engine], image: Pixels, mask: Pixels, right: Pixels | None, runs: int, seconds: float
) -> list[dict[str, Any]]:
    """Agreement and latency of engines on one batch: a row for each, with the reason where it failed.

    Args:
        engines: {name: engine}.
        image: (N, H, W, 3) uint8 RGB.
        mask: (N, H, W) uint8, nonzero = hole.
        right: what the PyTorch model makes of it, or None where there is no PyTorch.
        runs: counted calls of each, in turn.
        seconds: after which no further round begins.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, engine in engines.items():
        rows[name] = {"backend": name, "device": engine.info.device, "precision": engine.info.precision}
        try:
            rows[name] |= agreement(engine.fill(image, mask), right, image, mask)
        except EngineError as error:
            rows[name]["why"] = str(error)
    calls = {name: lambda e=engine: e.fill(image, mask) for name, engine in engines.items() if "why" not in rows[name]}
    for name, taken in interleaved(calls, runs, seconds=seconds).items():
        rows[name] |= _latency(taken, len(image))
    return list(rows.values())


def agreement(filled: Pixels, right: Pixels | None, image: Pixels, mask: Pixels) -> dict[str, Any]:
    """How far an engine's result is from the PyTorch model's, in the holes; `agrees` says whether it is the same model.

    Known pixels that are not the input's make it wrong whatever the holes look like.
    """
    hole = mask != 0
    changed = int((filled != image).any(axis=3)[~hole].sum())
    if right is None:
        return {"known_pixels_changed": changed, "worst": None, "psnr_db": None, "agrees": False if changed else None}
    off = filled[hole].astype(np.int64) - right[hole]
    mse = float(np.mean(off**2)) if off.size else 0.0
    psnr = 100.0 if mse == 0 else float(20 * np.log10(255) - 10 * np.log10(mse))
    return {
        "known_pixels_changed": changed, "worst": int(np.abs(off).max(initial=0)), "psnr_db": psnr,
        "agrees": changed == 0 and psnr >= AGREES_DB,
    }  # fmt: skip


def _latency(taken: list[float], batch: int) -> dict[str, Any]:
    p50, p95, p99 = (1000 * float(np.percentile(taken, q)) for q in (50, 95, 99))
    return {"median_ms": p50, "p95_ms": p95, "p99_ms": p99, "images_s": 1000 * batch / p50, "calls_s": taken}
