"""Pictures for a page, as `data:` URIs: made small, encoded, counted against a total."""

import base64
from dataclasses import dataclass, field

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8

MAX_SIDE = 640
"""Pixels of a picture's longer side on the page."""

MAX_BYTES = 32_000_000
"""Of all pictures of one page together, as encoded: browsers open such a file at once, mail servers mostly take it."""

QUALITY = 92
"""Of the page's JPEGs, colours at full resolution: artefacts stay below what a filling differs by."""

RED = (60, 60, 255, 150)
"""Of the mask overlay: blue, green, red, alpha."""


@dataclass
class Album:
    """The pictures of one page, each once: {key that the page's maker gives: data URI}."""

    pictures: dict[str, str] = field(default_factory=dict)
    size: int = 0  # bytes of all pictures, encoded

    def full(self) -> bool:
        """Whether the page has as much as it may."""
        return self.size >= MAX_BYTES

    def add_photo(self, key: str, rgb: Bytes8) -> None:
        """Keep (H, W, 3) uint8 RGB under `key`, made small; nothing happens if it is there."""
        if key not in self.pictures:
            small = _small(rgb, cv2.INTER_AREA)[:, :, ::-1]
            options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
            options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
            self._add(key, "jpeg", cv2.imencode(".jpg", small, options)[1].tobytes())

    def add_holes(self, key: str, hole: Hole) -> None:
        """Keep (H, W) bool under `key` as a transparent picture whose holes are red."""
        if key not in self.pictures:
            shown = _small(hole.astype(np.uint8) * np.uint8(255), cv2.INTER_AREA) > 0  # a hair stays to be seen
            red = np.where(shown[:, :, None], np.array(RED, np.uint8), np.uint8(0)).astype(np.uint8)
            self._add(key, "png", cv2.imencode(".png", red)[1].tobytes())

    def _add(self, key: str, kind: str, data: bytes) -> None:
        self.pictures[key] = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        self.size += len(data)


def _small(pixels: Bytes8, interpolation: int) -> Bytes8:
    height, width = pixels.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)
