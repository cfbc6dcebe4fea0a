"""The batch, top to bottom: pairs -> decode -> crops -> engine -> paste -> encode -> record.

Images flow through lazily and in order: a few are decoded ahead and a few encoded behind, by threads or by processes,
while this thread keeps the engine busy. So memory does not depend on how many there are.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

from .engines.protocol import Engine
from .flight import Crops, Flight
from .imaging.spool import Pair
from .ordered import results
from .processes import Processes
from .report import Record, Report
from .stages import Group, Settings, Stages, Work, record, start
from .threads import Threads

SWITCH_SECONDS = 0.0005
"""How long a decoding thread may keep the interpreter while the engine's thread wants it back. At Python's own 0.005 a
batch of small images reached 85 % of the bare engine's rate, at this 90 %."""

TOGETHER = 8
"""Images in a group at most, and as many as the engine fills in PACE seconds: a slow one gets them one by one, so that
each is written as soon as it is filled."""

PACE = 0.02

TOGETHER_BYTES = 1 << 19
"""Of the files in a group, unless it is of one: large images need no company."""

LOST = "the process that decoded or encoded it was lost, twice"


@dataclass
class Summary:
    """What became of a batch."""

    filled: int = 0
    copied: int = 0
    failed: int = 0
    skipped: int = 0  # done by an earlier run
    seconds: float = 0.0  # wall time
    engine_seconds: float = 0.0  # of it, sending to the engine and waiting for it; on Ray, of its workers on average
    refine_seconds: float = 0.0  # refining, summed over the images, which threads or processes do side by side

    @property
    def done(self) -> int:
        """Images, of this run."""
        return self.filled + self.copied + self.failed

    def count(self, record: Record) -> None:
        """One more image, by what became of it."""
        setattr(self, record.status, getattr(self, record.status) + 1)
        self.refine_seconds += record.refine_seconds


def run(
    pairs: Iterable[Pair],
    engine: Engine,
    settings: Settings,
    report: Report,
    summary: Summary,
    on_done: Callable[[Record | None, str], None] = lambda record, trace: None,
    processes: Processes | None = None,
) -> None:
    """Fill every pair's image and write it whole, or record why not.

    Args:
        pairs: jobs, in the order they are to be done.
        engine: what fills; called from this thread alone.
        settings: how.
        report: gets a line an image.
        summary: is counted up, and holds also after an interruption.
        on_done: called in this thread with each finished image's record (None for one an earlier run did) and, after
            an unexpected error, its traceback.
        processes: decode and encode, and are closed in the end; threads of this process do if None.

    Raises:
        KeyboardInterrupt: after the images being written are whole and recorded; those before that stage are dropped.
        DeviceLost: the engine's GPU failed; what is written is recorded, and the rest left to the next run.
        LgnetError: processes end as soon as they start.
    """
    started = time.perf_counter()
    fixed = settings.fixed_part(engine.info.weights_sha256)

    def todo() -> Iterator[Work]:
        for pair in pairs:
            work = start(pair, fixed)
            if not settings.overwrite and work.record.key and report.is_done(pair, work.record.key):
                summary.skipped += 1
                on_done(None, "")
            else:
                yield work

    def count(work: Work) -> None:
        summary.count(work.record)
        on_done(work.record, work.trace)

    stages: Stages
    stages = (processes.begin if processes else Threads)(settings, engine.info, report)
    lost: list[Work] = []
    try:
        batch = settings.batch or engine.info.batch
        for group in _through(stages, engine, _grouped(todo(), summary), batch, summary, report):
            for work in group.works:
                lost.append(work) if group.lost else count(work)
        for work in lost:
            count(_alone(work, stages, engine, report, summary))
    finally:
        stages.close()
        summary.seconds = time.perf_counter() - started


def _grouped(works: Iterable[Work], summary: Summary) -> Iterator[Group]:
    """Images that are to go together."""
    group, total = Group([]), 0
    for work in works:
        if group.works and total + work.size > TOGETHER_BYTES:
            yield group
            group, total = Group([]), 0
        group.works.append(work)
        total += work.size
        if len(group.works) >= _together(summary):
            yield group
            group, total = Group([]), 0
    if group.works:
        yield group


def _together(summary: Summary) -> int:
    if not summary.done:
        return 1
    return max(1, min(TOGETHER, int(PACE * summary.done / max(summary.engine_seconds, 1e-9))))


def _through(
    stages: Stages, engine: Engine, groups: Iterable[Group], batch: int, summary: Summary, report: Report
) -> Iterator[Group]:
    """Groups, when they are written and recorded, in order."""

    def finish(group: Group) -> Future[Group]:
        report.begin(work.pair.output for work in group.works if not work.record.error)
        return stages.finish(group)

    read = results((stages.read(group) for group in groups), stages.ahead)
    filled = _filled(engine, read, batch, summary)
    return results((finish(group) for group in filled), stages.behind)


def _alone(work: Work, stages: Stages, engine: Engine, report: Report, summary: Summary) -> Work:
    """Do an image once more whose process was lost: if it was this one that took it down, it does so alone."""
    again = Work(work.pair, replace(work.record, error=""))
    for group in _through(stages, engine, [Group([again])], 1, summary, report):
        if group.lost:
            again.record.status, again.record.error = "failed", f"{again.pair.image}: {LOST}"
            record(again.record, report)
    return again


def _filled(engine: Engine, groups: Iterable[Group], batch: int, summary: Summary) -> Iterator[Group]:
    """Run the crops of successive images through the engine in batches of one shape; yield groups in order."""
    line: deque[Group] = deque()
    queue: Crops = []
    flight = Flight(engine)

    def flush() -> None:
        started = time.perf_counter()
        flight.send(queue.copy())
        queue.clear()
        summary.engine_seconds += time.perf_counter() - started

    for group in groups:
        line.append(group)
        for work in group.works:
            for index, (image, _) in enumerate(work.inputs):
                if queue and queue[0][0].inputs[queue[0][1]][0].shape != image.shape:
                    flush()
                queue.append((work, index))
                if len(queue) == batch:
                    flush()
        while line and all(map(_is_filled, line[0].works)):
            yield line.popleft()
    if queue:
        flush()
    flight.land_all()
    yield from line


def _is_filled(work: Work) -> bool:
    return bool(work.record.error) or all(result is not None for result in work.filled)
