"""The builder's phases on a progress bar, where a person watches."""

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Phases:
    """Satisfies `build.Progress`: a bar for each phase that runs, under the one it is part of; for a `with` block.

    The builder may call from threads of its own.
    """

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._running: dict[str, tuple[TaskID, int]] = {}  # {phase: (its bar, how deep it lies)}
        self._lock = threading.Lock()

    def __enter__(self) -> "Phases":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        with self._lock:
            depth = self._running[parent][1] + 1 if parent in self._running else 0
            self._running[phase] = (self._bar.add_task("  " * depth + phase, total=steps), depth)

    def step(self, phase: str, step: int) -> None:
        with self._lock:
            if phase in self._running:
                self._bar.update(self._running[phase][0], completed=step + 1)

    def finish(self, phase: str) -> None:
        with self._lock:
            if phase in self._running:
                self._bar.remove_task(self._running.pop(phase)[0])
