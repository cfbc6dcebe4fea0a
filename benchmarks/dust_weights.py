"""The weights of `finders/dust.py`: `python -m lgnet_cli.benchmarks.dust_weights PHOTOS...` fits and prints them.

PHOTOS are folders. Use others than those that the finder is measured on.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from lgnet_cli.benchmarks.plants import plant_dust
from lgnet_cli.finders.dust import FEATURES, candidates
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.folders import files_below
from lgnet_cli.imaging.picture import to_rgb
from lgnet_cli.imaging.reading import read_whole

SIDE = 1600
"""Pixels: of larger photos only this upper left part is used."""


def examples(photo: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(features of each candidate in a photo with planted dust, whether it is that dust)."""
    picture = decode(read_whole(photo, 1 << 30), photo)
    rgb = to_rgb(picture.pixels, picture.kind)[:SIDE, :SIDE]
    planted = plant_dust(rgb, np.random.default_rng(seed))
    features, truth = [], []
    for pixels in (planted.rgb, 255 - planted.rgb):
        specks = candidates(pixels)
        share = np.bincount(specks.labels.ravel(), planted.hole.ravel()) / np.bincount(specks.labels.ravel())
        features.append(specks.features)
        truth.append(share[specks.numbers] > 0.4)
    return np.concatenate(features), np.concatenate(truth)


def main(folders: list[str]) -> None:
    photos = [file for folder in folders for file in files_below(Path(folder))]
    found = [examples(photo, seed) for seed, photo in enumerate(photos)]
    fitted = LogisticRegression(max_iter=5000).fit(*(np.concatenate(part) for part in zip(*found, strict=True)))
    for name, weight in zip(FEATURES, fitted.coef_[0], strict=True):
        print(f'    "{name}": {weight:.2f},')
    print(f"BIAS = {fitted.intercept_[0]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
