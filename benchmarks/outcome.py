"""What a quality run found: means with confidence intervals, as a dictionary, quality.json and images.csv."""

import csv
import json
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgnet_cli.atomic import replacing
from lgnet_cli.benchmarks.columns import COLUMNS, PICTURES, SETS, Column
from lgnet_cli.benchmarks.distances import fid, ids, kid
from lgnet_cli.benchmarks.features import Features
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.judges import Judges
from lgnet_cli.benchmarks.methods import ALONE, Method
from lgnet_cli.benchmarks.rows import Rows
from lgnet_cli.benchmarks.samples import Masks, Photo
from lgnet_cli.imaging.strokes import LABELS

RESAMPLES = 1000
"""Of the bootstrap."""

LISTED = 100
"""Failures told one by one."""

Cell = dict[str, float | int | None]
Means = dict[str, dict[str, dict[str, Cell | None]]]


def outcome(
    job: QualityJob,
    photos: list[Photo],
    masks: Masks,
    methods: list[Method],
    judges: Judges,
    rows: Rows,
    failed: list[dict[str, str]],
) -> dict[str, Any]:
    """Everything of quality.json but the rows of single pictures, which `write_outcome` streams, and the gallery."""
    columns = [column for column in COLUMNS if column.name != "lpips_vgg" or job.lpips_vgg]
    published = _published(job.reference, columns) if job.reference else {}
    own = [{"name": method.name, "published": False, "source": method.source} for method in methods]
    source = f"the paper's table on {job.reference}: other photos, other masks; to be held against {ALONE!r}"
    return {
        "kind": "quality",
        "lgnet": version("lgnet"),
        "command": list(job.command),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": job.seed,
        "definitions": _definitions(job, masks, columns),
        "missing": judges.missing,
        "columns": [column.name for column in columns],
        "better": {column.name: column.better for column in columns},
        "buckets": list(LABELS),
        "methods": own + [{"name": name, "published": True, "source": source} for name in published],
        "means": _means([m.name for m in methods], columns, judges.features, rows, job.seed) | published,
        "folder": {
            "images": str(job.images), "photos": len(photos), "masks": masks.words, "size": job.size,
            "failed": len(failed),
        },
        "failed": failed[:LISTED],
        "pictures": [],
    }  # fmt: skip


def write_outcome(found: dict[str, Any], rows: Rows, folder: Path) -> None:
    """Write quality.json and images.csv into `folder`, a row at a time."""
    names = ["method", "image", "bucket", "mask_ratio", "seed"]
    names += [name for name in found["columns"] if name not in SETS and name not in found["missing"]]
    with replacing(folder / "images.csv") as path:
        _write_csv(path, names, rows)
    with replacing(folder / "quality.json") as file, file.open("w", encoding="ascii") as out:
        out.write(json.dumps(found, indent=1)[:-2] + ',\n "images": [')
        for number, row in enumerate(rows):
            out.write(("," if number else "") + "\n  " + json.dumps({name: row.get(name) for name in names}))
        out.write("\n ]\n}\n")


def _write_csv(path: Path, names: list[str], rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def interval(values: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % of the bootstrapped means of each column of (N, C): (low, high), (C,) each, by percentiles."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean(axis=0) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def _definitions(job: QualityJob, masks: Masks, columns: Iterable[Column]) -> dict[str, str]:
    about = f"centre square of each photo, by area (or bicubic, if smaller) to {job.size} x {job.size}; {PICTURES}"
    if job.paper_compat:
        about += "; the network's merged picture is truncated to 8 bits, known pixels too, as upstream's"
    return {
        "pictures": about,
        "masks": f"{masks.words}; bucket (lo, hi] in percent of pixels, at {job.size} x {job.size}",
        "intervals": f"95 %, {RESAMPLES} bootstrap resamples of the pictures, percentiles, seed {job.seed}; none for "
        "FID, KID, P-IDS and U-IDS, which are of whole sets",
        **{column.name: column.definition for column in columns},
    }


def _means(names: list[str], columns: list[Column], features: Features | None, rows: Rows, seed: int) -> Means:
    values: dict[tuple[str, str], dict[str, array[float]]] = defaultdict(lambda: defaultdict(lambda: array("d")))
    keys: dict[tuple[str, str], bytearray] = defaultdict(bytearray)  # 64 bytes a row: original's and result's hash
    for row in rows:
        for column in columns:
            if column.name in row:
                values[row["method"], row["bucket"]][column.name].append(row[column.name])
        if features:
            keys[row["method"], row["bucket"]] += bytes.fromhex(row["original_sha256"] + row["sha256"])
    means: Means = {name: {column.name: dict.fromkeys(LABELS) for column in columns} for name in names}
    for (name, bucket), found in values.items():
        for column_name, cell in _cells(found, seed).items():
            means[name][column_name][bucket] = cell
    for (name, bucket), pairs in keys.items():
        assert features
        for set_name, value in _of_sets(features, pairs).items():
            means[name][set_name][bucket] = {"mean": value, "low": None, "high": None, "count": len(pairs) // 64}
    return means


def _cells(found: dict[str, "array[float]"], seed: int) -> dict[str, Cell]:
    values = np.array(list(found.values())).T
    low, high = interval(values, seed)
    return {
        name: {"mean": float(values[:, i].mean()), "low": float(low[i]), "high": float(high[i]), "count": len(values)}
        for i, name in enumerate(found)
    }


def _of_sets(features: Features, pairs: bytearray) -> dict[str, float]:
    """One bucket of one method. Nothing of less than two pictures, which have no covariance."""
    if len(pairs) < 2 * 64:
        return {}
    originals, results = (
        features.get(pairs[at : at + 32].hex() for at in range(first, len(pairs), 64)) for first in (0, 32)
    )
    p_ids, u_ids = ids(originals, results)
    found = {"fid": fid(originals, results), "kid": kid(originals, results), "p_ids": p_ids, "u_ids": u_ids}
    assert all(map(math.isfinite, found.values()))
    return found


def _published(table: str, columns: list[Column]) -> Means:
    """The paper's rows on one set of photos: {"PEN (published)": {column: {bucket: cell}}}."""
    rows = json.loads(files("lgnet_cli.benchmarks").joinpath("paper_tables.json").read_text())[table]
    means: Means = {}
    for name, of_name in rows.items():
        means[f"{name} (published)"] = {column.name: dict.fromkeys(LABELS) for column in columns}
        for column_name, values in of_name.items():
            for bucket, value in zip(LABELS, values, strict=True):
                cell: Cell = {"mean": value, "low": None, "high": None, "count": None}
                means[f"{name} (published)"][column_name][bucket] = cell
    return means
