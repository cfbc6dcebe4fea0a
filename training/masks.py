"""Mask sets laid out as NVIDIA's test set (Liu et al. 2018): bucket after bucket, first those off the border."""

from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import UsageError
from lgnet_cli.imaging.masks import as_bytes
from lgnet_cli.imaging.strokes import BUCKETS, random_hole

Bucket = tuple[float, float]


def write_masks(out: Path, count: int, size: int, buckets: str, seed: int) -> None:
    """Write `count` masks as out/00000.png ..., white = hole, equally many a bucket, in the buckets' order.

    Raises:
        UsageError: `buckets` is no list of ranges, `count` no multiple of their number, or `out` holds files already.
    """
    ranges = parsed_buckets(buckets)
    if count % len(ranges):
        raise UsageError(
            f"{count} masks cannot be shared by {len(ranges)} buckets",
            mend=f"-n {count - count % len(ranges) or len(ranges)}",
        )
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out}: is not empty", mend="name another folder, or empty it")
    out.mkdir(parents=True, exist_ok=True)
    each = count // len(ranges)
    for number in track(range(count), description="masks", disable=count < 100):
        bucket, place = ranges[number // each], number % each
        rng = np.random.default_rng([seed, number])
        hole = random_hole(rng, size, bucket, inside=place < each // 2)
        write_bytes(out / f"{number:05}.png", cv2.imencode(".png", as_bytes(hole))[1].tobytes())
    print(f"{out}: {count} masks of {size} x {size}, {each} a bucket, the first {each // 2} of each off the border")


def parsed_buckets(text: str) -> list[Bucket]:
    """`paper`, or percents such as "5-15,15-30", as shares (lo, hi]."""
    if text == "paper":
        return list(BUCKETS)
    try:
        pairs = [tuple(float(part) / 100 for part in piece.split("-")) for piece in text.split(",")]
        ranges = [(lo, hi) for lo, hi in pairs]
    except ValueError:
        raise UsageError(f"--buckets {text!r}: expected percents, such as 5-15,15-30") from None
    if not all(0 <= lo < hi <= 0.9 for lo, hi in ranges):
        raise UsageError(f"--buckets {text!r}: each must rise, from 0 to at most 90 percent")
    return ranges
