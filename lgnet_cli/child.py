"""A process that decodes and encodes for the batch: what `processes` starts, and what both sides know of the other.

It reads groups when it is told to, keeps their pictures until their holes are filled, then finishes them. It ends when
it is told to stop, after what it is writing, or at once when the process that started it is gone.
"""

import mmap
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from .atomic import sign_as
from .engines.protocol import EngineInfo
from .imaging.crops import Crop
from .imaging.picture import Bytes8
from .imaging.spool import Pair
from .places import place
from .report import Record
from .stages import Settings, Work, paste_and_encode, read, write

SLOT_BYTES = 1 << 23
"""For the crops of a group: 32 of the network's usual size. Those of larger ones are sent like everything else."""

SLOTS = 64
"""Groups that can be on their way, and the first, whose first byte is the word to stop. Memory is taken when used."""

WRITERS = 8
"""Groups on their way to the disk at a time."""


class Placed(NamedTuple):
    """Where a crop is in the shared memory: its picture, then its mask."""

    offset: int  # bytes
    height: int  # pixels
    width: int


Inputs = tuple[Bytes8, Bytes8]


def view(memory: mmap.mmap, at: Placed) -> Inputs:
    """A crop in the shared memory, as arrays: ((H, W, 3), (H, W)) uint8."""
    area = at.height * at.width
    pixels = np.frombuffer(memory, np.uint8, 4 * area, at.offset)
    return pixels[: 3 * area].reshape(at.height, at.width, 3), pixels[3 * area :].reshape(at.height, at.width)


class _Room:
    """The part of the shared memory that a group has, taken crop by crop."""

    def __init__(self, memory: mmap.mmap, slot: int | None) -> None:
        self._memory = memory
        self._free, self._end = (0, 0) if slot is None else (slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)
        self.placed: list[Placed | None] = []

    def take(self, crop: Crop) -> Inputs | None:
        width, height = crop.size
        at, end = Placed(self._free, height, width), self._free + 4 * height * width
        self.placed.append(at if end <= self._end else None)
        if end > self._end:
            return None
        self._free = end
        return view(self._memory, at)


class Child:
    """The process's own side."""

    def __init__(self, connection: Connection, memory: mmap.mmap) -> None:
        self._connection, self._memory, self._lock = connection, memory, Lock()
        self._held: dict[int, list[tuple[Work, list[Placed | None]]]] = {}
        self._disk = ThreadPoolExecutor(WRITERS)

    def run(self) -> None:
        """Say that it has begun, then do what is asked until it is enough."""
        self._say(None)
        while True:
            try:
                what, *rest = self._connection.recv()
            except (EOFError, OSError):  # nobody asks any more
                break
            if not self._memory[0]:
                getattr(self, what)(*rest)
        if self._memory[0]:  # not where whoever asked was killed
            self._disk.shutdown(wait=True)
        os._exit(0)  # at once: what Python clears up takes a tenth of a second

    def begin(self, settings: Settings, engine: EngineInfo, host: str, pid: int, index: int) -> None:
        self._settings, self._engine = settings, engine
        sign_as(host, pid, index)

    def read(self, number: int, slot: int | None, asked: list[Record]) -> None:
        room = _Room(self._memory, slot)
        held: list[tuple[Work, list[Placed | None]]] = []
        answer: list[tuple[Record, list[Placed | Inputs], str]] = []
        for said in asked:
            pair = Pair(place(said.input), place(said.mask), place(said.output), seed=said.seed)
            work, room.placed = Work(pair, said), []
            read(work, self._settings, self._engine, room.take)
            placed = room.placed[: len(work.inputs)]  # none of an image that failed
            inputs = [at or pixels for at, pixels in zip(placed, work.inputs, strict=True)]
            answer.append((work.record, inputs, work.trace))
            work.inputs = []
            held.append((work, placed))
        self._held[number] = held
        self._say((number, answer))

    def finish(self, number: int, answers: list[tuple[Record, list[Bytes8 | None]]]) -> None:
        held = self._held.pop(number)
        for (work, placed), (said, sent) in zip(held, answers, strict=True):
            work.record = said
            work.filled = [view(self._memory, at)[0] if at else pixels for at, pixels in zip(placed, sent, strict=True)]
            paste_and_encode(work, self._settings)
        self._disk.submit(self._write, number, [work for work, _ in held])

    def _write(self, number: int, works: list[Work]) -> None:
        for work in works:
            write(work)
        self._say((number, [(work.record, work.trace) for work in works]))

    def _say(self, what: object) -> None:
        with self._lock, suppress(OSError):  # nobody listens any more, as `run` will find out
            self._connection.send(what)


def main() -> None:
    """Run with two descriptors: of a socket, and of the shared memory."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to every process of a service; this one is told what to do
    cv2.setNumThreads(1)  # there is a process for every core
    memory = mmap.mmap(int(sys.argv[2]), SLOTS * SLOT_BYTES)
    Child(Connection(int(sys.argv[1])), memory).run()
