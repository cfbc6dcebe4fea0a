"""`color:#rrggbb~TOLERANCE`: holes that a person painted over by hand in one colour.

It takes every pixel whose channels are all within TOLERANCE of the colour. What it misses: the soft rim of a brush,
which `--dilate` covers. It also takes whatever else in the photo has that colour.
"""

import cv2
import numpy as np

from .protocol import Finding, Photo, regions_of


class Color:
    """Finds one colour."""

    def __init__(self, rgb: tuple[int, int, int], tolerance: int) -> None:
        """`rgb`: 0 to 255 each. `tolerance`: by how much each channel may differ, 0 to 255."""
        self._low = np.clip(np.array(rgb) - tolerance, 0, 255)
        self._high = np.clip(np.array(rgb) + tolerance, 0, 255)
        self._why = "color #{:02x}{:02x}{:02x}".format(*rgb)

    def find(self, photo: Photo) -> Finding:
        hole = cv2.inRange(photo.rgb, self._low.astype(np.float64), self._high.astype(np.float64)) > 0
        return Finding(hole, regions_of(hole, self._why))
