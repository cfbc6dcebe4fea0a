"""What a run of `--native` found: means over photos with confidence intervals, as a dictionary."""

from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import numpy as np

from lgnet_cli.benchmarks.columns import NATIVE
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import Method
from lgnet_cli.benchmarks.native_masks import NativeMasks
from lgnet_cli.benchmarks.native_methods import Themselves
from lgnet_cli.benchmarks.outcome import LISTED, RESAMPLES, Cell, interval
from lgnet_cli.benchmarks.samples import Photo

Row = dict[str, Any]


def native_outcome(
    job: QualityJob,
    photos: list[Photo],
    masks: NativeMasks,
    methods: list[Method],
    rows: list[Row],
    failed: list[dict[str, str]],
) -> dict[str, Any]:
    """Everything of native.json but the gallery. `methods` has `Themselves` among them."""
    return {
        "kind": "native",
        "lgnet": version("lgnet"),
        "command": list(job.command),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": job.seed,
        "definitions": _definitions(job, masks),
        "columns": [column.name for column in NATIVE],
        "better": {column.name: column.better for column in NATIVE},
        "methods": [
            {"name": method.name, "themselves": isinstance(method, Themselves), "source": method.source}
            for method in methods
        ],
        "means": {method.name: _means([r for r in rows if r["method"] == method.name], job.seed) for method in methods},
        "folder": {"images": str(job.images), "photos": len(photos), "masks": masks.words, "failed": len(failed)},
        "failed": failed[:LISTED],
        "images": [{name: value for name, value in row.items() if name not in ("key", "bucket")} for row in rows],
        "pictures": [],
    }


def _definitions(job: QualityJob, masks: NativeMasks) -> dict[str, str]:
    about = (
        "8-bit RGB at the photo's own size, known pixels the original's, mean over photos; a hole is thin if none of "
    )
    about += (
        "its pixels is over 24 pixels (in small photos a fortieth of the shorter side) from what is known, and large "
    )
    about += "is the largest of the others"
    how = f"95 %, {RESAMPLES} bootstrap resamples of the photos, percentiles, seed {job.seed}"
    return {"pictures": about, "masks": masks.words, "intervals": how, **{c.name: c.definition for c in NATIVE}}


def _means(rows: list[Row], seed: int) -> dict[str, Cell | None]:
    """{column: mean over the photos that have it}."""
    found: dict[str, Cell | None] = {}
    for column in NATIVE:
        values = np.array([row[column.name] for row in rows if row[column.name] is not None], np.float64)
        found[column.name] = _cell(values, seed) if len(values) else None
    return found


def _cell(values: "np.ndarray[Any, np.dtype[np.float64]]", seed: int) -> Cell:
    low, high = interval(values[:, None], seed)
    return {"mean": float(values.mean()), "low": float(low[0]), "high": float(high[0]), "count": len(values)}
