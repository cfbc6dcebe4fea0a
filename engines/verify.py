"""Any engine against the FP32 model: a wrong one is refused before it is used.

Over the holes alone, for known pixels are exact by construction and would only flatter the figure.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.errors import ModelError

from .nvidia.profile import Profile
from .protocol import Pixels

LEAST_PSNR = 45.0
"""dB between engine and model over the holes of the worst crop. Half arithmetic gives over 55 on the model that ships,
8-bit rounding alone 59; a wrong scale, layout or layer is below 35."""

MOST_OFF = 48
"""Of 255, for any channel of any pixel. Half arithmetic is off by 1 on the crops, by a few on the worst pictures."""

LOST = 128
"""Of 255: a value of 0 or 255 that is off by so much was no number; clipping makes NaN the one or the other."""

LARGEST_SIDE = 1024
"""Pixels. The model is computed on the CPU, where at twice the side attention takes sixteen times as long."""

TILE = 256
ROWS = 4
CROPS = Path(__file__).parent / "verification"
"""16 crops of the photos of examples/, and their masks, as two sheets of 4 x 4; `benchmarks/crops.py` makes them."""

Fill = Callable[[Pixels, Pixels], Pixels]


@dataclass(frozen=True)
class Verdict:
    """How far an engine is from the model."""

    fills: int  # crops filled, in all calls
    psnr: float  # dB over the holes of the worst crop
    crop: str  # that crop, and the call it was filled in
    off: int  # largest difference of a channel, 0 to 255
    where: str  # that pixel
    nan: int  # channels of hole pixels that were lost, as NaN are
    known: int  # known pixels that changed: must be 0

    @property
    def good(self) -> bool:
        return self.psnr >= LEAST_PSNR and self.off <= MOST_OFF and not self.nan and not self.known

    def __str__(self) -> str:
        nan = f"{self.nan} values lost, as NaN are" if self.nan else "no NaN"
        known = f"{self.known} known pixels changed" if self.known else "known pixels exact"
        return (
            f"{self.fills} fills of crops of the example photos, over the holes: the worst at {self.psnr:.1f} dB "
            f"({self.psnr - LEAST_PSNR:+.1f} over the least; {self.crop}), a pixel off by {self.off} of 255 "
            f"({self.where}), {nan}, {known}"
        )


def crops(side: int = TILE) -> tuple[Pixels, Pixels]:
    """The crops verified on: uint8, (16, side, side, 3) RGB and (16, side, side) with 255 = hole."""
    photos = cv2.imread(str(CROPS / "photos.jpg"), cv2.IMREAD_COLOR)
    masks = cv2.imread(str(CROPS / "masks.png"), cv2.IMREAD_GRAYSCALE)
    if photos is None or masks is None:
        raise ModelError(
            f"{CROPS}: its crops cannot be read", mend="install lgnet anew: pip install --force-reinstall lgnet"
        )
    images, holes = _tiles(photos[:, :, ::-1].astype(np.uint8)), _tiles(masks.astype(np.uint8))
    if side == TILE:
        return images, holes
    return (
        np.stack([cv2.resize(image, (side, side)) for image in images]).astype(np.uint8),
        np.stack([cv2.resize(hole, (side, side), interpolation=cv2.INTER_NEAREST) for hole in holes]).astype(np.uint8),
    )


def hold(engine: Fill, reference: Fill, profile: Profile) -> Verdict:
    """Fill the crops through both and compare, in calls of every kind that `profile` allows.

    All crops at the least, the best and the largest batch; one call of more than two batches, which an engine computes
    on all its streams and whose last batch it pads; and a crop at the largest side, alone and as a whole batch.

    Args:
        engine: an engine's `fill`.
        reference: the FP32 model's, which fills each crop once.
        profile: the engine's.
    """
    images, masks = crops(profile.side[0])
    theirs = reference(images, masks)
    counts = dict.fromkeys(profile.batch)
    calls = [np.arange(start, start + count) for count in counts for start in range(0, len(images), count)]
    calls.append(np.arange(2 * profile.batch[2] + 1))
    verdicts = [_held(engine, call % len(images), images, masks, theirs) for call in calls]
    side = min(profile.side[2], LARGEST_SIDE)
    if side > profile.side[0]:
        images, masks = (a[:1] for a in crops(side))
        theirs = reference(images, masks)
        verdicts += [_held(engine, np.zeros(n, np.int64), images, masks, theirs) for n in {1, profile.batch[2]}]
    return _together(verdicts)


def _held(engine: Fill, call: NDArray[np.int64], images: Pixels, masks: Pixels, theirs: Pixels) -> Verdict:
    """One call, of the crops with these numbers."""
    verdict = compare(engine(images[call], masks[call]), theirs[call], images[call], masks[call])
    words = f"in a call of {len(call)} at {images.shape[1]} x {images.shape[2]}"
    return replace(verdict, crop=f"{verdict.crop} {words}", where=f"{verdict.where}, {words}")


def _together(verdicts: list[Verdict]) -> Verdict:
    worst, furthest = min(verdicts, key=lambda v: v.psnr), max(verdicts, key=lambda v: v.off)
    return Verdict(
        fills=sum(v.fills for v in verdicts), psnr=worst.psnr, crop=worst.crop, off=furthest.off, where=furthest.where,
        nan=sum(v.nan for v in verdicts), known=sum(v.known for v in verdicts),
    )  # fmt: skip


def one_by_one(fill: Fill) -> Fill:
    """`fill`, an image a call: it takes less memory."""

    def filled(images: Pixels, masks: Pixels) -> Pixels:
        return np.concatenate([fill(images[i : i + 1], masks[i : i + 1]) for i in range(len(images))])

    return filled


def compare(ours: Pixels, theirs: Pixels, images: Pixels, masks: Pixels) -> Verdict:
    """Arrays (N, H, W, 3) uint8 as two engines filled them, beside what they were given."""
    decibels, off, nan, known = [], [], 0, 0
    for our, their, image, mask in zip(ours, theirs, images, masks, strict=True):
        hole = mask != 0
        difference = np.abs(our.astype(np.int64) - their)
        difference[~hole] = 0
        decibels.append(_psnr(difference[hole]))
        off.append(difference)
        nan += int(((difference >= LOST) & ((our == 0) | (our == 255))).sum())
        known += int((our != image)[~hole].any(axis=-1).sum())
    furthest = max(range(len(off)), key=lambda i: int(off[i].max()))
    row, column, _ = np.unravel_index(int(off[furthest].argmax()), off[furthest].shape)
    return Verdict(
        fills=len(images), psnr=min(decibels), crop=f"number {int(np.argmin(decibels))}",
        off=int(off[furthest].max()), where=f"number {furthest}, row {row}, column {column}", nan=nan, known=known,
    )  # fmt: skip


def _psnr(difference: NDArray[np.int64]) -> float:
    error = float((difference**2).mean()) if difference.size else 0.0
    return 10 * math.log10(255**2 / error) if error else math.inf


def _tiles(sheet: Pixels) -> Pixels:
    grid = sheet.reshape(ROWS, TILE, ROWS, TILE, *sheet.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(ROWS * ROWS, TILE, TILE, *sheet.shape[2:]))
