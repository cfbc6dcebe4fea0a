"""TensorRT's own words, kept: there is no other way to learn why it refused."""

from collections import deque
from typing import Any

from .libraries import TensorRT

KEPT = 200
"""Messages; what matters is among the last few."""

NOTHING = "it gave no reason"

TOLD = 3
"""Errors in one of our own."""

INCONSISTENT = "not self-consistent"
"""From TensorRT's warning about a profile that the network's halvings do not divide; the plan it builds then fails."""

_logs: dict[str, Any] = {}


class Words:
    """The warnings and errors since `clear`."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.errors: deque[str] = deque(maxlen=KEPT)  # of the lines
        self.inconsistent = ""  # the first that says so, however many come after it

    def clear(self) -> None:
        self.lines.clear()
        self.errors.clear()
        self.inconsistent = ""

    def add(self, message: str, *, error: bool) -> None:
        self.lines.append(message)
        if error:
            self.errors.append(message)
        if INCONSISTENT in message:
            self.inconsistent = self.inconsistent or message

    def find(self, text: str) -> str:
        """The first message that holds `text`, or ""."""
        return next((line for line in self.lines if text in line), "")

    def last(self) -> str:
        """The last errors, as one line, for the very last is often an echo; else the last warning, if any."""
        messages = dict.fromkeys(list(self.errors)[-TOLD:] or list(self.lines)[-1:])
        return "; ".join(" ".join(message.split()) for message in messages) or NOTHING


def log_of(trt: TensorRT) -> Any:
    """The one logger of a module: TensorRT keeps the first a process gives it. `.words` holds what it heard."""
    if trt.__name__ not in _logs:  # type: ignore[attr-defined]
        _logs[trt.__name__] = _make(trt)  # type: ignore[attr-defined]
    return _logs[trt.__name__]  # type: ignore[attr-defined]


def _make(trt: TensorRT) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.words = Words()

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.WARNING):  # the lower, the worse
                self.words.add(message, error=int(severity) <= int(trt.ILogger.Severity.ERROR))

    return Log()
