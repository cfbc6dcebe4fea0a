"""The stages around the engine by processes: for engines so fast that Python's threads cannot keep up.

Between the calls that decode and encode, Python runs one thread at a time, so that a few threads do all that threads
can. Here each process decodes and encodes on its own; the pixels of crops go to the engine and back through memory that
both sides see, and the rest of an image stays where it was decoded.
"""

import mmap
import os
import platform
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import SHUT_WR, socketpair
from threading import Event, Lock, Thread
from typing import Any

import numpy as np

from .atomic import remove_unfinished, temporary_prefix
from .child import SLOT_BYTES, SLOTS, Placed, view
from .engines.protocol import EngineInfo
from .errors import LgnetError
from .imaging.picture import Bytes8
from .report import Report
from .stages import Group, Settings, record

AHEAD = 2
"""Groups a process reads ahead of the engine, so that it never waits for the next."""

BEHIND = 8
"""Groups a process encodes and writes behind it."""

STILLBORN = 3
"""Processes in a row that end before they have begun: then there is no sense in starting more."""

CODE = "import sys; sys.path[:] = sys.argv[3:]; from lgnet_cli.child import main; main()"
"""What a process runs. Not multiprocessing, whose children import the main program again."""

CAN_SHARE = hasattr(os, "memfd_create")
"""Whether this system has the memory that both sides see: Linux has."""

MOST = 16
"""Processes, unless told otherwise."""


def processes() -> int:
    """How many go with an engine on a GPU: one for every CPU core of this process."""
    return min(MOST, max(2, len(os.sched_getaffinity(0))))


class Processes:
    """Satisfies `Stages`, between `begin` and `close`. Linux alone. To be started before the engine loads."""

    def __init__(self, count: int) -> None:
        self._children = [_Child(index) for index in range(count)]
        self.ahead, self.behind = AHEAD * count, BEHIND * count
        self._stillborn = 0

    def wait(self) -> None:
        """Until all have begun, or are gone."""
        for child in self._children:
            child.ready.wait()

    def begin(self, settings: Settings, engine: EngineInfo, report: Report) -> "Processes":
        """Say what is to be done with the images that come from now on."""
        self._order, self._report = (settings, engine), report
        for child in self._children:
            child.begin(self._order, report)
        return self

    def read(self, group: Group) -> Future[Group]:
        child = min(self._children, key=lambda child: child.busy)
        if child.is_lost:
            child = self._replaced(child)
        return child.read(group)

    def finish(self, group: Group) -> Future[Group]:
        child: _Child = group.place.child
        return child.finish(group)

    def close(self) -> None:
        for child in self._children:
            child.stop()
        for child in self._children:
            child.join()

    def _replaced(self, child: "_Child") -> "_Child":
        """A new one for one that is gone."""
        self._stillborn = 0 if child.has_begun else self._stillborn + 1
        if self._stillborn == STILLBORN:
            raise LgnetError(f"processes end as they start ({child.said()})", mend="use threads: --processes 0")
        child.join()
        new = _Child(child.index)
        self._children[self._children.index(child)] = new
        new.begin(self._order, self._report)
        return new


class _Place:
    """Where a group's pixels are."""

    def __init__(self, child: "_Child", number: int, slot: int | None) -> None:
        self.child, self.number, self.slot = child, number, slot
        self.placed: list[list[Placed | None]] | None = None  # of each image's crops, once read; None: sent, not placed


class _Child:
    """A process, as seen from here: what it was asked, and a thread that takes its answers."""

    def __init__(self, index: int) -> None:
        self.index, self.has_begun, self.is_lost = index, False, False
        self._shared = os.memfd_create("lgnet")
        os.ftruncate(self._shared, SLOTS * SLOT_BYTES)  # memory is taken where it is written to
        self._memory = mmap.mmap(self._shared, SLOTS * SLOT_BYTES)
        self._free = list(range(1, SLOTS))  # the first has the word to stop
        self._asked: dict[int, tuple[Group, Future[Group]]] = {}
        self._lock, self._count, self.ready = Lock(), 0, Event()
        ours, theirs = socketpair()
        descriptors = (theirs.fileno(), self._shared)
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, our own code)
            [sys.executable, "-c", CODE, *map(str, descriptors), *sys.path],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a terminal sends Ctrl-C to all of its own
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # there is a process for each core
        )
        theirs.close()
        os.close(self._shared)
        self._socket, self._connection = ours, Connection(os.dup(ours.fileno()))
        self._thread = Thread(target=self._listen, name=f"lgnet-{index}", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> int:
        """Groups it has to read or finish."""
        return len(self._asked)

    def begin(self, order: tuple[Settings, EngineInfo], report: Report) -> None:
        self._report = report
        self._send("begin", *order, *self._name())

    def read(self, group: Group) -> Future[Group]:
        with self._lock:
            self._count += 1
            slot = self._free.pop() if self._free else None
        group.place = _Place(self, self._count, slot)
        return self._ask(group, "read", slot, [work.record for work in group.works])

    def finish(self, group: Group) -> Future[Group]:
        answers: list[tuple[Any, list[Bytes8 | None]]] = []
        for work, placed in zip(group.works, group.place.placed or [], strict=False):
            inline: list[Bytes8 | None] = []
            for at, result in zip(placed, work.filled, strict=True):
                if at is not None and result is not None:
                    np.copyto(view(self._memory, at)[0], result)
                inline.append(result if at is None else None)
            answers.append((work.record, inline))
            work.inputs, work.filled = [], []
        return self._ask(group, "finish", answers)

    def stop(self) -> None:
        """Tell it to begin nothing more, and to end."""
        self._memory[0] = 1
        with suppress(OSError):  # it is gone
            self._socket.shutdown(SHUT_WR)

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()
        self._process.wait()
        self._socket.close()
        self._connection.close()

    def said(self) -> str:
        """How it ended."""
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _ask(self, group: Group, what: str, *rest: object) -> Future[Group]:
        future: Future[Group] = Future()
        with self._lock:
            lost = self.is_lost
            if not lost:
                self._asked[group.place.number] = group, future
        if lost:
            _lose(group, future)
        else:
            self._send(what, group.place.number, *rest)
        return future

    def _send(self, *message: object) -> None:
        with suppress(OSError):  # it is gone, of which whoever listens hears too
            self._connection.send(message)

    def _listen(self) -> None:
        """Take its first word, then answers, until there are no more."""
        while True:
            try:
                said = self._connection.recv()
            except (EOFError, OSError):
                break
            if not self.has_begun:
                self.has_begun = True
                self.ready.set()
                continue
            number, answers = said
            with self._lock:
                group, future = self._asked.pop(number)
            try:
                self._take(group, answers)
            except BaseException as error:  # a bug, of which whoever waits must hear
                future.set_exception(error)
            else:
                future.set_result(group)
        with self._lock:
            self.is_lost, asked = True, list(self._asked.values())
            self._asked.clear()
        self.ready.set()
        for group, future in asked:
            _lose(group, future)
        if not self._memory[0]:  # it did not end because it was told to
            folders = {work.pair.output.parent for group, _ in asked for work in group.works}
            with suppress(OSError):  # the next run removes what is left, too
                remove_unfinished(folders, temporary_prefix(*self._name()))

    def _name(self) -> tuple[str, int, int]:
        """In which it writes: this process's own, so that what is left is known for its, and a number."""
        return platform.node(), os.getpid(), self.index

    def _take(self, group: Group, answers: list[Any]) -> None:
        if group.place.placed is None:
            group.place.placed = []
            for work, (said, inputs, trace) in zip(group.works, answers, strict=True):
                work.record, work.trace = said, trace
                group.place.placed.append([at if isinstance(at, Placed) else None for at in inputs])
                work.inputs = [view(self._memory, at) if isinstance(at, Placed) else at for at in inputs]
                work.filled = [None] * len(inputs)
            return
        for work, (said, trace) in zip(group.works, answers, strict=True):
            work.record, work.trace = said, work.trace or trace
            record(said, self._report)
        if group.place.slot is not None:
            with self._lock:
                self._free.append(group.place.slot)


def _lose(group: Group, future: Future[Group]) -> None:
    group.lost = True
    future.set_result(group)
