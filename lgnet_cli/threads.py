"""The stages around the engine by threads of this process: for engines that take longer than the stages do."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

from threadpoolctl import threadpool_limits

from .engines.protocol import EngineInfo
from .ordered import AHEAD
from .report import Report
from .stages import Group, Settings, paste_and_encode, read, record, write

WRITERS = 16
"""Outputs on their way to the disk at a time, encoded. Each waits until the disk confirms it (5 ms and more), but a
disk confirms many at once nearly as soon as one, and threads that wait cost nothing."""


def threads() -> int:
    """How many decode and encode beside the one that keeps the engine busy."""
    return min(4, max(2, len(os.sched_getaffinity(0))))


class Threads:
    """Satisfies `Stages`."""

    ahead, behind = AHEAD, WRITERS

    def __init__(self, settings: Settings, engine: EngineInfo, report: Report) -> None:
        self._settings, self._engine, self._report = settings, engine, report
        self._pool = ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="lgnet")
        self._disk = ThreadPoolExecutor(max_workers=WRITERS, thread_name_prefix="lgnet-disk")
        self._encoding = BoundedSemaphore(AHEAD)  # groups whose pixels are still held
        # Threads of NumPy's own fight with these: a batch took eight times as long. Also, they sum in another order.
        self._one_each = threadpool_limits(1, user_api="blas")

    def read(self, group: Group) -> Future[Group]:
        return self._pool.submit(self._read, group)

    def finish(self, group: Group) -> Future[Group]:
        self._encoding.acquire()
        done: Future[Group] = Future()
        self._pool.submit(_or_fail, done, self._encode, group, done)
        return done

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._disk.shutdown(wait=True, cancel_futures=True)
        self._one_each.restore_original_limits()

    def _read(self, group: Group) -> Group:
        for work in group.works:
            read(work, self._settings, self._engine)
        return group

    def _encode(self, group: Group, done: Future[Group]) -> None:
        try:
            for work in group.works:
                paste_and_encode(work, self._settings)
        finally:
            self._encoding.release()
        self._disk.submit(_or_fail, done, self._write, group, done)

    def _write(self, group: Group, done: Future[Group]) -> None:
        for work in group.works:
            write(work)
            record(work.record, self._report)
        done.set_result(group)


def _or_fail(done: Future[Group], step: Callable[..., None], *rest: object) -> None:
    """Run a step; whoever waits for the group hears of what it raises."""
    try:
        step(*rest)
    except BaseException as error:
        done.set_exception(error)
