"""Any engine against the FP32 model: a wrong one is refused before it is used.

Over the holes alone, for known pixels are exact by construction and would only flatter the figure.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lgnet_cli.errors import ModelError

from .protocol import Pixels

LEAST_PSNR = 45.0
"""dB between engine and model over the holes. Half arithmetic gives over 55 on the model that ships, 8-bit rounding
alone 59; a wrong scale, layout or layer is below 35."""

BRIGHT = 64
"""Of 255: no rounding takes a value this far from 0."""

TILE = 256
ROWS = 4
CROPS = Path(__file__).parent / "verification"
"""16 crops of the photos of examples/, and their masks, as two sheets of 4 x 4; `benchmarks/crops.py` makes them."""

Fill = Callable[[Pixels, Pixels], Pixels]


@dataclass(frozen=True)
class Verdict:
    """How far an engine is from the model."""

    images: int
    psnr: float  # dB over all holes
    worst: int  # largest difference of a channel, 0 to 255
    where: str  # that pixel
    nan: int  # channels of hole pixels that came out 0, as NaN does in 8 bits, where the model's are bright
    known: int  # known pixels that changed: must be 0

    @property
    def good(self) -> bool:
        return self.psnr >= LEAST_PSNR and not self.nan and not self.known

    def __str__(self) -> str:
        nan = f"{self.nan} values lost, as NaN are" if self.nan else "no NaN"
        known = f"{self.known} known pixels changed" if self.known else "known pixels exact"
        return (
            f"{self.images} crops of the example photos, over the holes: {self.psnr:.1f} dB, worst pixel off by "
            f"{self.worst} of 255 ({self.where}), {nan}, {known}"
        )


def crops() -> tuple[Pixels, Pixels]:
    """The crops verified on: (16, 256, 256, 3) uint8 RGB and (16, 256, 256) uint8, 255 = hole."""
    photos = cv2.imread(str(CROPS / "photos.jpg"), cv2.IMREAD_COLOR)
    masks = cv2.imread(str(CROPS / "masks.png"), cv2.IMREAD_GRAYSCALE)
    if photos is None or masks is None:
        raise ModelError(
            f"{CROPS}: its crops cannot be read", mend="install lgnet anew: pip install --force-reinstall lgnet"
        )
    return _tiles(photos[:, :, ::-1].astype(np.uint8)), _tiles(masks.astype(np.uint8))


def hold(engine: Fill, reference: Fill, side: int = TILE) -> Verdict:
    """Fill the crops, enlarged to `side` x `side`, through both and compare.

    Args:
        engine: an engine's `fill`.
        reference: the FP32 model's.
        side: pixels, a multiple of 256 that both take.
    """
    images, masks = crops()
    if side != TILE:
        images = np.stack([cv2.resize(image, (side, side)) for image in images])
        masks = np.stack([cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST) for mask in masks])
    return compare(engine(images, masks), reference(images, masks), images, masks)


def one_by_one(fill: Fill) -> Fill:
    """`fill`, an image a call: it takes less memory."""

    def filled(images: Pixels, masks: Pixels) -> Pixels:
        return np.concatenate([fill(images[i : i + 1], masks[i : i + 1]) for i in range(len(images))])

    return filled


def compare(ours: Pixels, theirs: Pixels, images: Pixels, masks: Pixels) -> Verdict:
    """Arrays (N, H, W, 3) uint8 as two engines filled them, beside what they were given."""
    hole = masks != 0
    off = np.abs(ours.astype(np.int64) - theirs)
    off[~hole] = 0
    worst = np.unravel_index(int(off.argmax()), off.shape)
    error = float((off[hole] ** 2).mean())
    return Verdict(
        images=len(images),
        psnr=10 * math.log10(255**2 / error) if error else math.inf,
        worst=int(off.max()),
        where=f"image {worst[0]}, row {worst[1]}, column {worst[2]}",
        nan=int(((ours == 0) & (theirs >= BRIGHT) & hole[..., None]).sum()),
        known=int((ours != images)[~hole].any(axis=-1).sum()),
    )


def _tiles(sheet: Pixels) -> Pixels:
    grid = sheet.reshape(ROWS, TILE, ROWS, TILE, *sheet.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(ROWS * ROWS, TILE, TILE, *sheet.shape[2:]))
