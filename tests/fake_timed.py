"""A device whose copies and kernels take time: each stream works through its queue beside the caller, and the device
does one kernel, one copy in and one copy out at a time, as a GPU with two copy engines does."""

import queue
import threading
import time
from collections.abc import Callable

from fake_tensorrt import FakeDriver, Stream


class TimedStream(Stream):
    def __init__(self, driver: "TimedDriver", flags: int) -> None:
        super().__init__(driver, flags)
        self.timed = driver
        self.given: queue.Queue[tuple[str, Callable[[], None]]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def give(self, what: str, work: Callable[[], None]) -> None:
        self.driver.need_context()
        self.given.put((what, work))

    def synchronize(self) -> "TimedStream":
        self.driver.need_context()
        self.given.join()
        return self

    def _work(self) -> None:
        while True:
            what, work = self.given.get()
            with self.timed.engines[what]:
                started = time.perf_counter()
                time.sleep(self.timed.seconds[what])
                work()
                self.timed.spans[what].append((started, time.perf_counter()))
            self.given.task_done()


class TimedDriver(FakeDriver):
    """`seconds` that each copy ("in", "out") and kernel ("compute") takes; `spans` says when they ran."""

    def __init__(self, **seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.engines = {what: threading.Lock() for what in seconds}
        self.spans: dict[str, list[tuple[float, float]]] = {what: [] for what in seconds}

    def Stream(self, flags: int = 0) -> TimedStream:  # noqa: N802
        return TimedStream(self, flags)

    def busy(self) -> float:
        """The share of the time from the first kernel's start to the last one's end in which one ran."""
        kernels = self.spans["compute"]
        return sum(end - start for start, end in kernels) / (kernels[-1][1] - kernels[0][0])
