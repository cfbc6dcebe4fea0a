"""What every finder is: a photo goes in; its holes come out, with a reason for each region."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8, Picture, to_rgb

Floats = NDArray[np.float32]


class Region(NamedTuple):
    """A rectangle that holds holes, in pixels of the upright photo, and why the finder took it."""

    left: int
    top: int
    right: int  # the first column behind it
    bottom: int  # the first row below it
    why: str


@dataclass
class Finding:
    """What a finder found in one photo."""

    hole: Hole  # (H, W) bool, upright
    regions: list[Region] = field(default_factory=list)


@dataclass
class Photo:
    """One photo as finders see it."""

    path: Path  # its file, for finders that read it themselves
    picture: Picture  # decoded and upright; finders do not change it

    @cached_property
    def rgb(self) -> Bytes8:
        """(H, W, 3) uint8."""
        return to_rgb(self.picture.pixels, self.picture.kind)

    @cached_property
    def grey(self) -> Floats:
        """(H, W) float32, 0 to 255."""
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.picture.height, self.picture.width


class Finder(Protocol):
    """One way to find holes. Called from several threads at once."""

    def find(self, photo: Photo) -> Finding:
        """The holes of one photo. Raises LgnetError, which fails this photo alone."""
        ...


MOST_LISTED = 20
"""Regions named in a report; the rest are counted."""


def summed_up(regions: list[Region]) -> str:
    """The first regions, each with its reason and its left, top, right and bottom."""
    listed = [f"{region.why} at {','.join(map(str, region[:4]))}" for region in regions[:MOST_LISTED]]
    more = len(regions) - MOST_LISTED
    return "; ".join([*listed, f"and {more} more"] if more > 0 else listed)


def regions_of(hole: Hole, why: str) -> list[Region]:
    """A region for each group of holes that touch, with one reason for all."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats(hole.view(np.uint8), connectivity=8)
    return [Region(x, y, x + w, y + h, why) for x, y, w, h, _ in boxes[1:count].tolist()]
