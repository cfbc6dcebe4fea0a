"""The model card's table: `python -m lgnet_cli.benchmarks.table --images DIR`; needs the `dev` extra.

Every photo's central 256 x 256, once for each bucket of hole shares with a mask of its own, filled by lgnet and by
OpenCV's two classical methods. Means over the photos.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.benchmarks.metrics import Image, l1_percent, psnr_db, ssim
from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.formats import SUFFIXES
from lgnet_cli.imaging.picture import to_rgb
from lgnet_cli.imaging.strokes import BUCKETS, random_hole

SIDE = 256
RADIUS = 3  # pixels around a hole pixel that OpenCV's methods look at: what its own examples use

METRICS: dict[str, Callable[[Image, Image], float]] = {
    "PSNR, dB (higher is better)": psnr_db,
    "SSIM, window 51 (higher is better)": ssim,
    "l1, % (lower is better)": l1_percent,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos of at least 256 x 256")
    parser.add_argument("--weights", type=Path, help="native weights; the model that ships if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the masks")
    options = parser.parse_args()
    photos = [_centre(file) for file in sorted(options.images.iterdir()) if file.suffix.lower() in SUFFIXES]
    engine = open_engine(choose("onnxruntime"), weights=options.weights)
    methods: dict[str, Callable[[Image, Image], Image]] = {
        "lgnet": lambda image, mask: engine.fill(image[None], mask[None])[0],
        "OpenCV Telea": lambda image, mask: np.asarray(cv2.inpaint(image, mask, RADIUS, cv2.INPAINT_TELEA), np.uint8),
        "OpenCV Navier-Stokes": lambda image, mask: np.asarray(
            cv2.inpaint(image, mask, RADIUS, cv2.INPAINT_NS), np.uint8
        ),
    }
    scores: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for number, photo in enumerate(photos):
        for bucket, shares in enumerate(BUCKETS):
            mask = (
                random_hole(np.random.default_rng([options.seed, number, bucket]), SIDE, shares).astype(np.uint8) * 255
            )
            for name, method in methods.items():
                filled = method(photo, mask)
                for title, metric in METRICS.items():
                    scores[title, name, bucket].append(metric(filled, photo))
    print(
        f"{len(photos)} photos of {options.images.name}, seed {options.seed}, weights {engine.info.weights_sha256[:12]}"
    )
    for title in METRICS:
        print(f"\n| {title} | " + " | ".join(f"{100 * lo:.0f}-{100 * hi:.0f} %" for lo, hi in BUCKETS) + " |")
        print("|---" * (len(BUCKETS) + 1) + "|")
        for name in methods:
            cells = (f"{np.mean(scores[title, name, bucket]):.3f}" for bucket in range(len(BUCKETS)))
            print(f"| {name} | " + " | ".join(cells) + " |")


def _centre(file: Path) -> Image:
    picture = decode(file.read_bytes(), file)
    top, left = (picture.height - SIDE) // 2, (picture.width - SIDE) // 2
    return to_rgb(picture.pixels, picture.kind)[top : top + SIDE, left : left + SIDE]


if __name__ == "__main__":
    main()
