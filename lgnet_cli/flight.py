"""Batches of crops through the engine: one after the other, or the next on its way while one is computed."""

import time
from collections import deque

import numpy as np

from .engines.protocol import Ahead, Engine, Pending
from .errors import DeviceLost
from .stages import Work, record_failure

IN_FLIGHT = 2
"""Batches sent and not yet taken back: while the engine computes one, the next one waits for it, copied in."""

Crops = list[tuple[Work, int]]
"""Which crop of which image."""


class Flight:
    """Fills crops in batches of one shape; a crop is filled at the latest after `land_all`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sent: deque[tuple[Crops, Pending, float]] = deque()  # (batch, what comes of it, seconds it took to send)

    def send(self, crops: Crops) -> None:
        """One batch: filled when this returns, or, by an engine that takes the next while it computes one, later."""
        if not isinstance(self._engine, Ahead):
            fill(self._engine, crops)
            return
        started = time.perf_counter()
        try:
            pending = self._engine.start(*_inputs(crops))
        except DeviceLost:
            raise
        except Exception:  # as in `fill`, which tries it once more, and then in halves
            fill(self._engine, crops)
            return
        self._sent.append((crops, pending, time.perf_counter() - started))
        if len(self._sent) > IN_FLIGHT:
            self._land()

    def land_all(self) -> None:
        while self._sent:
            self._land()

    def _land(self) -> None:
        crops, pending, spent = self._sent.popleft()
        started = time.perf_counter()
        try:
            results = pending.result()
        except DeviceLost:
            raise
        except Exception:
            fill(self._engine, crops)
            return
        _hand_over(crops, results, spent + time.perf_counter() - started)


def fill(engine: Engine, crops: Crops) -> None:
    """One call of the engine; a batch that fails is halved and tried again, down to the crop that fails alone.

    Raises DeviceLost.
    """
    started = time.perf_counter()
    try:
        images, masks = (np.stack(arrays) if len(crops) > 1 else arrays[0][None] for arrays in _inputs(crops))
        results = engine.fill(images, masks)
    except DeviceLost:  # no later batch could be filled
        raise
    except Exception as error:  # its own EngineError, MemoryError, or a bug, which need not end the batch either
        if len(crops) == 1:
            record_failure(crops[0][0], error)
            return
        for half in (crops[: len(crops) // 2], crops[len(crops) // 2 :]):
            fill(engine, half)
        return
    _hand_over(crops, results, time.perf_counter() - started)


def _inputs(crops: Crops) -> tuple[list[np.ndarray], list[np.ndarray]]:
    images, masks = zip(*(work.inputs[i] for work, i in crops), strict=True)
    return list(images), list(masks)


def _hand_over(crops: Crops, results: np.ndarray, seconds: float) -> None:
    for (work, index), result in zip(crops, results, strict=True):
        work.filled[index] = result
        work.record.seconds += seconds / len(crops)
