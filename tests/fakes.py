"""Fakes that satisfy the protocols."""

import os
import time

import numpy as np

from lgnet_cli.engines.protocol import EngineInfo, Pixels
from lgnet_cli.errors import EngineError, LgnetError
from lgnet_cli.imaging.spool import Pair
from lgnet_cli.worker import Opened, Order, Part, Worker


class PaintEngine:
    """Satisfies `Engine`: paints every hole in one colour, and remembers the shapes it was called with."""

    def __init__(self, colour: tuple[int, int, int] = (200, 100, 50), max_pixels: int = 1 << 24) -> None:
        self.info = EngineInfo("paint", "test", "fp32", "multiples of 256", max_pixels, "0" * 64)
        self.colour = np.array(colour, np.uint8)
        self.calls: list[tuple[int, ...]] = []
        self.closed = False

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape == (*mask.shape, 3)
        assert not {side % 256 for side in mask.shape[1:]} - {0}
        self.calls.append(image.shape)
        return np.where(mask[..., None] != 0, self.colour, image)

    def close(self) -> None:
        self.closed = True


class SlowEngine(PaintEngine):
    """Takes `seconds` for every call."""

    def __init__(self, seconds: float, colour: tuple[int, int, int] = (200, 100, 50)) -> None:
        super().__init__(colour)
        self.seconds = seconds

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        time.sleep(self.seconds)
        return super().fill(image, mask)


class SmallMemoryEngine(PaintEngine):
    """Fails above `most` images a call, as a device that runs out of memory does."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        if len(image) > self.most:
            raise EngineError("out of memory")
        return super().fill(image, mask)


class StillbornWorker(Worker):
    """A worker that is lost while it loads the model."""

    def open(self, order: Order) -> Opened | LgnetError:
        os._exit(1)


class DyingWorker(Worker):
    """A worker of a batch on Ray that an image with "dies" in its name takes down, as a lack of memory does."""

    def fill(self, pairs: list[Pair]) -> Part:
        if any("dies" in pair.image.name for pair in pairs):
            os._exit(1)
        return super().fill(pairs)
