"""The one contract every back end keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lgnet_cli.spec import DEFAULT_SIZE

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is and what it takes."""

    backend: str  # as `--backend` names it
    device: str  # what computes, in words
    precision: str  # fp32 or fp16: of the arithmetic, not of the stored weights
    sizes: str  # "256" for one fixed side, "multiples of 256" for any
    max_pixels: int  # largest H * W one call may have; attention's memory grows with its square on some back ends
    weights_sha256: str  # of the weights file the graph was made from, or "" where it does not say
    side: int = DEFAULT_SIZE  # of its smallest picture, pixels: what crops are made to
    batch: int = 1  # images a call that it is best given
    beware: str = ""  # what speaks against using it as it is


def least_side(sizes: str) -> int:
    """Of a graph: its one side, or the network's where any will do."""
    return int(sizes) if sizes.isdecimal() else DEFAULT_SIZE


class Engine(Protocol):
    """Fills holes. All casts, scaling, the three stages, compositing and rounding are inside the engine."""

    info: EngineInfo

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        """Fill the holes of a batch.

        Args:
            image: (N, H, W, 3) uint8 RGB, H and W multiples of 256 that `info.sizes` allows.
            mask: (N, H, W) uint8: 128 and above = hole, 0 = known, and 1 to 127 = known, but to be returned as the
                network draws it. A graph of an earlier version takes the last for holes.

        Returns:
            (N, H, W, 3) uint8 RGB in memory the caller owns; where the mask is 0 the image bit for bit.

        Raises:
            EngineError: this batch cannot be computed (out of memory, say); the engine stays usable.
            DeviceLost: the GPU failed, and no later batch can be computed.
        """
        ...

    def close(self) -> None:
        """Give memory and devices back. The engine is not usable afterwards; a second call does nothing."""
        ...


class Pending(Protocol):
    """A batch on its way through an engine."""

    def result(self) -> Pixels:
        """Wait for it, and give what `Engine.fill` gives. Raises EngineError, also for each of later calls."""
        ...


@runtime_checkable
class Ahead(Engine, Protocol):
    """An engine that takes the next batch while it computes one."""

    def start(self, images: Sequence[Pixels], masks: Sequence[Pixels]) -> Pending:
        """Send a batch on its way, and return once its pixels are copied; another may be started before its result.

        Args:
            images: at most `info.batch` of (H, W, 3) uint8 RGB, all of one shape that `info.sizes` allows.
            masks: as many of (H, W) uint8, nonzero = hole.

        Raises:
            EngineError: this batch cannot be computed.
        """
        ...
