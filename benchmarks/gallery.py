"""The pictures that a quality run keeps: of every bucket the worst of the first method, and the first."""

import heapq
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2

from lgnet_cli.atomic import write_bytes
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import Method, merged
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.rows import Rows
from lgnet_cli.benchmarks.samples import Masks, Photo, Sample, read_photo, square
from lgnet_cli.errors import LgnetError
from lgnet_cli.imaging.masks import as_bytes


def write_pictures(
    job: QualityJob, photos: list[Photo], masks: Masks, methods: list[Method], rows: Rows, folder: Path
) -> list[dict[str, Any]]:
    """Fill the chosen samples again and write them as PNG below `folder`/pictures, worst first.

    Returns:
        What quality.json lists as "pictures", paths relative to `folder`.
    """
    listed = []
    by_name = {photo.name: photo for photo in photos}
    for name, bucket in choose(rows, methods[0].name, job.pictures):
        photo = by_name[name]
        picture = read_photo(photo)
        sample = next(s for s in masks.of(photo, picture, job.size) if s.bucket == bucket)
        listed.append(_write(sample, square(picture, job.size), methods, folder))
    return listed


def choose(rows: Rows, method: str, count: int) -> list[tuple[str, str]]:
    """(image, bucket): of each bucket the worst of `method` by ST-LPIPS, half of `count`, then the first.

    Worst first, over all buckets.
    """
    of_bucket: dict[str, list[tuple[float, str]]] = defaultdict(list)
    worst: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in rows:
        if row["method"] == method:
            badness = float(row.get("st_lpips", -row["psnr_db"]))
            entry = (badness, row["image"])
            if len(of_bucket[row["bucket"]]) < count:
                of_bucket[row["bucket"]].append(entry)
            heapq.heappush(worst[row["bucket"]], entry)
            if len(worst[row["bucket"]]) > (count + 1) // 2:
                heapq.heappop(worst[row["bucket"]])
    chosen = []
    for bucket, first in of_bucket.items():
        taken = dict.fromkeys([*sorted(worst[bucket], reverse=True), *first])
        chosen += [(badness, name, bucket) for badness, name in list(taken)[:count]]
    return [(name, bucket) for _, name, bucket in sorted(chosen, reverse=True)]


def _write(sample: Sample, original: Image, methods: list[Method], folder: Path) -> dict[str, Any]:
    place = Path("pictures", sample.bucket, f"{sample.photo.number:05}-{plain_name(sample.photo.name)}")
    (folder / place).mkdir(parents=True, exist_ok=True)
    results = {}
    for number, method in enumerate(methods):
        try:
            filled = merged(method, sample, original)
        except (LgnetError, OSError):  # it is among the failures already
            continue
        results[method.name] = write_png(folder, place / f"{number}-{plain_name(method.name)}.png", filled[:, :, ::-1])
    return {
        "image": sample.photo.name,
        "bucket": sample.bucket,
        "mask_ratio": round(sample.ratio, 6),
        "original": write_png(folder, place / "original.png", original[:, :, ::-1]),
        "mask": write_png(folder, place / "mask.png", as_bytes(sample.hole)),
        "results": results,
    }


def write_png(folder: Path, path: Path, pixels: Image) -> str:
    """Write pixels, blue first, to `folder`/`path`; what a result lists."""
    write_bytes(folder / path, cv2.imencode(".png", pixels)[1].tobytes())
    return path.as_posix()


def plain_name(name: str) -> str:
    """A file name of letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") or "unnamed"
