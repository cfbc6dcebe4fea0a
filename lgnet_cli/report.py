"""OUT/lgnet-report.jsonl: a line for every image, written when the image is done, read when the batch is run again."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO

from .imaging.pairs import Pair

NAME = "lgnet-report.jsonl"


@dataclass
class Record:
    """What became of one image."""

    input: str
    mask: str
    output: str
    status: str  # filled, copied (nothing to fill) or failed
    width: int = 0  # pixels, upright
    height: int = 0
    hole_share: float = 0.0  # of the image's pixels, 0 to 1
    crops: int = 0  # network runs it took
    seconds: float = 0.0  # of decoding, computing and encoding, not of waiting
    bytes: int = 0  # of the output file
    key: str = ""  # of all that the output depends on: see `key_of`
    error: str = ""


class Report:
    """The report of one OUT folder, open for appending. Lines come whole: one write each, under a lock."""

    def __init__(self, folder: Path | None) -> None:
        """Open or make the report in `folder`; None keeps records in memory only."""
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self._done: dict[str, tuple[str, int]] = {}  # output: (key, bytes)
        if folder:
            path = folder / NAME
            self._done = {r["output"]: (r["key"], r["bytes"]) for r in _lines(path) if r["status"] != "failed"}
            self._file = path.open("a+", encoding="ascii")
            _end_last_line(self._file)

    def add(self, record: Record) -> None:
        """Append one line. Safe to call from several threads."""
        if self._file:
            line = json.dumps(asdict(record)) + "\n"  # ASCII: names that are no Unicode survive as escapes
            with self._lock:
                self._file.write(line)
                self._file.flush()

    def is_done(self, pair: Pair, key: str) -> bool:
        """Whether the report says that `pair` was done with the same inputs and settings, and the file bears it out."""
        if self._done.get(str(pair.output)) is None or self._done[str(pair.output)][0] != key:
            return False
        try:
            return pair.output.stat().st_size == self._done[str(pair.output)][1]
        except OSError:
            return False

    def knows(self, output: Path) -> bool:
        """Whether `output` was written by an earlier run."""
        return str(output) in self._done

    def close(self) -> None:
        if self._file:
            self._file.close()


def records(path: Path) -> Iterator[Record]:
    """The report's whole lines, as they were written; others are passed over."""
    for line in _lines(path):
        try:
            yield Record(**{f.name: f.type(line[f.name]) for f in fields(Record) if f.name in line})  # type: ignore[operator]
        except (TypeError, ValueError):
            continue


def key_of(pair: Pair, settings: str) -> str:
    """A hash of what the output depends on: both files' names, sizes and times, and the settings. Raises OSError."""
    facts = [settings]
    for file in (pair.image, pair.mask):
        stat = file.stat()
        facts += [str(file), str(stat.st_size), str(stat.st_mtime_ns)]
    return hashlib.sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]


def _lines(path: Path) -> Iterator[dict]:  # type: ignore[type-arg]
    """The report's whole lines; one that was cut off when a machine went down is passed over, and done again."""
    if not path.is_file():
        return
    with path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
                if {"output", "key", "bytes", "status"} <= record.keys():
                    yield record
            except (ValueError, AttributeError):
                continue


def _end_last_line(file: IO[str]) -> None:
    """A cut-off last line must not swallow the next record."""
    end = file.seek(0, 2)
    if end:
        file.seek(end - 1)
        if file.read(1) != "\n":
            file.write("\n")
