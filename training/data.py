"""Photos and holes to train on. Every sample is a function of the seed and its number, so a run resumes anywhere.

Sample `n` belongs to pass `n // len(images)`, which has an order of its own; its crop, flip and holes are drawn from
the seed and `n`. Nothing depends on how many workers, processes or restarts there were.
"""

import functools
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lgnet_cli.errors import FileError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.picture import Bytes8, to_rgb
from lgnet_cli.imaging.strokes import BUCKETS, random_hole

from .config import Config
from .sources import Source

TRIES = 10
"""Files that may be unreadable one after the other before the run ends: the set is broken, not a file."""


class Sample(NamedTuple):
    """One photo and its holes; of a batch, the same with N in front."""

    image: Tensor  # (H, W, 3) uint8 RGB
    mask: Tensor  # (H, W) uint8, 1 = hole
    name: str
    unreadable: list[str]  # what was wrong with files in whose place this one came


@dataclass(frozen=True)
class Photos(torch.utils.data.Dataset[Sample]):
    """Training samples by number, without end."""

    config: Config
    images: list[Source]
    masks: list[Source]  # empty: made up

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng([self.config.seed, 1, number])
        unreadable: list[str] = []
        for attempt in range(TRIES):
            source = self.images[_position(self.config.seed, len(self.images), number, attempt)]
            try:
                image = framed(self.config, rgb(source), rng)
                mask = self._hole(rng)
            except FileError as error:
                unreadable.append(str(error))
                continue
            return Sample(torch.from_numpy(image), torch.from_numpy(mask), source.name, unreadable)
        raise FileError(f"{TRIES} files in a row cannot be read, the first: {unreadable[0]}")

    def _hole(self, rng: np.random.Generator) -> Bytes8:
        if self.masks:
            hole = read_hole(self.masks[rng.integers(len(self.masks))], self.config.size)
            return np.ascontiguousarray(hole[:, ::-1]) if self.config.flip and rng.random() < 0.5 else hole
        return random_hole(rng, self.config.size, BUCKETS[rng.integers(len(BUCKETS))]).astype(np.uint8)


@dataclass(frozen=True)
class Numbers(torch.utils.data.Sampler[list[int]]):
    """The sample numbers of each batch of one process, from step `start` on: no number twice, none left out."""

    start: int  # step
    stop: int
    batch: int
    accumulate: int
    rank: int
    world: int

    def __len__(self) -> int:
        return (self.stop - self.start) * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        for index in range(self.start * self.accumulate, self.stop * self.accumulate):
            first = (index * self.world + self.rank) * self.batch
            yield list(range(first, first + self.batch))


def loader(photos: Photos, numbers: Numbers, workers: int, *, pin: bool) -> torch.utils.data.DataLoader[Sample]:
    """Batches in order, decoded ahead by `workers` processes."""
    return torch.utils.data.DataLoader(
        photos,
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=collate,
        pin_memory=pin,
        worker_init_fn=_quiet,
    )


def collate(samples: list[Sample]) -> Sample:
    """Samples as one batch; names are joined by newlines, for a person to read."""
    return Sample(
        torch.stack([s.image for s in samples]),
        torch.stack([s.mask for s in samples]),
        "\n".join(s.name for s in samples),
        [line for s in samples for line in s.unreadable],
    )


def rgb(source: Source) -> Bytes8:
    """(H, W, 3) uint8 RGB, upright. Raises FileError."""
    picture = decode(source.read(), Path(source.name))
    return to_rgb(picture.pixels, picture.kind)


def read_hole(source: Source, side: int) -> Bytes8:
    """A mask file, white = hole, as (side, side) uint8 of 0 and 1: nearest neighbour, never in between."""
    white = cv2.cvtColor(rgb(source), cv2.COLOR_RGB2GRAY)
    nearest = cv2.resize(white, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return (nearest >= 128).astype(np.uint8)


def framed(config: Config, image: Bytes8, rng: np.random.Generator) -> Bytes8:
    """A photo as the network is shown it, (size, size, 3): squashed, or a random square of at least `size` pixels."""
    height, width = image.shape[:2]
    box: tuple[float, float, float, float] = (0, 0, width, height)
    if config.framing == "crop":
        short = min(height, width)
        side = rng.integers(min(config.size, short), short, endpoint=True)
        left, top = rng.integers(width - side, endpoint=True), rng.integers(height - side, endpoint=True)
        box = (left, top, left + side, top + side)
    small = resized(image, config.size, box)
    return np.ascontiguousarray(small[:, ::-1]) if config.flip and rng.random() < 0.5 else small


def central(image: Bytes8, side: int) -> Bytes8:
    """The largest square in the middle, as (side, side, 3)."""
    height, width = image.shape[:2]
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    return resized(image, side, (left, top, left + short, top + short))


def resized(image: Bytes8, side: int, box: tuple[float, float, float, float]) -> Bytes8:
    """Part of an image, (left, top, right, bottom), as (side, side, 3): bicubic, smoothed where it shrinks."""
    return np.array(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, box=box))


def _position(seed: int, count: int, number: int, attempt: int) -> int:
    return int(_order(seed, count, number // count)[(number + attempt) % count])


@functools.lru_cache(maxsize=2)  # batches straddle two passes at most
def _order(seed: int, count: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def _quiet(worker: int) -> None:
    """Ctrl-C and torchrun's SIGTERM reach every process, but only the main one decides; one worker is one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)
