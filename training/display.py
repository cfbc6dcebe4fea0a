"""A run as it goes: a live line in a terminal, plain lines elsewhere."""

import sys
import time
from collections import defaultdict
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

L1 = {"valid": "l1", "hole": "l1"}
ORDER = {name: i for i, name in enumerate(("loss", "l1", "perceptual", "style", "tv", "adversarial", "judge"))}


class Display:
    """Shows steps, losses, images/s, time left and the share of time spent waiting for data."""

    def __init__(self, start: int, total: int, images_a_step: int, *, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.live = self.console.is_terminal and not quiet
        columns = (
            TextColumn("step"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[said]}"),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.live)
        self.task = self.progress.add_task("", total=total, completed=start, said="")
        self.total, self.images_a_step = total, images_a_step
        self.since, self.waited, self.steps = time.perf_counter(), 0.0, 0

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    def step(self, waited: float) -> None:
        """One step is done, `waited` seconds of which nothing was computed because no batch was there."""
        self.waited += waited
        self.steps += 1
        self.progress.advance(self.task)

    def measure(self) -> tuple[float, float]:
        """(images/s, share of time waited for data) since the last call."""
        seconds = max(time.perf_counter() - self.since, 1e-9)
        measured = self.steps * self.images_a_step / seconds, self.waited / seconds
        self.since, self.waited, self.steps = time.perf_counter(), 0.0, 0
        return measured

    def say(self, step: int, losses: dict[str, float], rate: float, wait: float) -> None:
        """`losses`: terms by name, "hole_G" for one of a stage; shown are the sums over stages."""
        sums: dict[str, float] = defaultdict(float)
        for name, value in losses.items():
            term = name.partition("_")[0]
            sums[L1.get(term, term)] += value
        shown = "  ".join(f"{name} {value:.4g}" for name, value in sorted(sums.items(), key=lambda s: ORDER[s[0]]))
        said = f"{shown}  {rate:.2f} images/s  data wait {wait:.1%}"
        self.progress.update(self.task, said=said)
        if not self.live:
            self.note(f"step {step}/{self.total}  {said}")

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        sys.stderr.flush()
