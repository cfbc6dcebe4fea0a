"""The examples were filled: known pixels equal where the format is lossless, holes changed everywhere."""

import sys
from pathlib import Path

import cv2
import numpy as np

examples, out = map(Path, sys.argv[1:])
files = sorted((examples / "images").iterdir())
for file in files:
    mask = cv2.imread(str(examples / "masks" / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE) >= 128
    before, after = (cv2.imread(str(folder / file.name)).astype(int) for folder in (examples / "images", out))
    changed = np.abs(after - before)
    assert file.suffix != ".png" or not changed[~mask].any(), f"{file.name}: known pixels changed"
    assert changed[~mask].mean() < 3, f"{file.name}: known pixels changed by {changed[~mask].mean():.1f} on average"
    assert (changed[mask] > 0).mean() > 0.5, f"{file.name}: holes unchanged"
print(f"{len(files)} examples filled")
