"""OUT/lgnet-report.jsonl: a line for every image, written when the image is done, read when the batch is run again."""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .errors import FileError, UsageError
from .imaging.spool import Pair
from .journal import Journal, Unfinished
from .mirror import Mirror
from .places import entries, facts, is_remote, naming
from .results import Results

STEM = "lgnet-report"
NAME = f"{STEM}.jsonl"

LONGEST_LINE = 1 << 16
"""Characters: three paths of 4,096 bytes, escaped, and more. A longer line is nobody's record."""

NEEDED = {"output": str, "key": str, "bytes": int, "status": str}
"""Of a record, to resume from it."""


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
    refine_seconds: float = 0.0  # of them, refining the network's fill
    seed: int = 0  # of what was drawn by chance in its refinement
    bytes: int = 0  # of the output file
    key: str = ""  # of all that the output depends on: see `key_of`
    error: str = ""
    sha256: str = ""  # of the output file
    changed: int = 0  # when that was written (its ctime), in nanoseconds since 1970; 0 in an object store
    notes: list[str] = field(default_factory=list)  # what of the image's file could not be kept
    found: str = ""  # by finders: the first regions and why each was taken


class Report:
    """The report of one OUT folder, open for appending. Lines come whole: one write each, under a lock."""

    def __init__(
        self, folder: Path | None, shard: tuple[int, int] | None = None, results: Results | None = None
    ) -> None:
        """Open or make the report in `folder`, that of one share of the work if `shard` is (i, n).

        What was done before is taken from the reports of all shares, unless it is given as `results_in` read it. None
        for a folder keeps nothing. In a remote folder the report is a Mirror's.

        Raises:
            UsageError: the report cannot be read or written.
        """
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._results = results or Results()
        self._mirror: Mirror | None = None
        self._journal: Journal | None = None
        if not folder:
            return
        self._results = results or results_in(folder)
        self.path = folder / (f"{STEM}-{shard[0]}-of-{shard[1]}.jsonl" if shard else NAME)
        try:
            self._mirror = Mirror(self.path) if is_remote(folder) else None
            local = self._mirror.local if self._mirror else self.path
            self._descriptor = os.open(local, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            _end_last_line(self._descriptor)
            self._journal = Journal(folder, shard)
        except OSError as error:
            raise UsageError(f"{error.filename or self.path}: {error.strerror}", mend="mend or move it") from error

    def add(self, record: Record) -> None:
        """Append one line, whole or not at all. Safe to call from several threads. Raises FileError (disk full)."""
        if self._descriptor is None:
            return
        line = (json.dumps(vars(record)) + "\n").encode()  # ASCII: names that are no Unicode survive as escapes
        with self._lock:
            end = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self._descriptor, end)
                raise FileError(f"{self.path}: cannot be written: {error.strerror}") from error
        if self._journal:
            self._journal.record(record.output)

    def begin(self, outputs: Iterable[Path]) -> None:
        """Note that these are about to be written: see `journal`."""
        if self._journal:
            with self._lock:
                self._journal.begin(outputs)

    def is_done(self, pair: Pair, key: str) -> bool:
        """Whether a report says that `pair` was done with the same inputs and settings, and the file bears it out."""
        said = self._results.of(str(pair.output))
        if said is None:
            return False
        try:
            return said == hash((key, facts(pair.output).size))
        except OSError:
            return False

    def close(self) -> None:
        """Close it; a second call does nothing. Raises FileError: a remote one cannot be written."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            if self._journal:
                self._journal.close()
            if self._mirror:
                self._mirror.close()


def results_in(folder: Path) -> Results:
    """What the reports in `folder` say was done. Raises UsageError: one cannot be read."""
    results = Results()
    try:
        for path in reports_in(folder):
            for record in _lines(path):
                results.add(record)
            if is_remote(path):
                results.note_report(facts(path))
        results.unfinished = Unfinished(folder)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}", mend="mend or move it") from error
    results.sort()
    return results


def reports_in(folder: Path) -> list[Path]:
    """The reports of earlier runs, of the whole and of shares, the last written last. Raises OSError."""
    if is_remote(folder):
        try:
            said = [(facts.stamp, name) for name, kind, facts in entries(folder) if kind == "file"]
        except FileNotFoundError:
            return []
        return [folder / name for _, name in sorted(said) if fnmatch(name, f"{STEM}*.jsonl")]
    return sorted(folder.glob(f"{STEM}*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def records(path: Path) -> Iterator[Record]:
    """The report's whole lines, as they were written; others are passed over."""
    for line in _lines(path):
        try:
            yield Record(**{f.name: f.type(line[f.name]) for f in fields(Record) if f.name in line})  # type: ignore[operator]
        except (TypeError, ValueError):
            continue


def key_of(pair: Pair, settings: str) -> str:
    """A hash of what the output depends on: both files' names, sizes and times, and the settings. Raises OSError."""
    return key_and_size(pair, settings)[0]


def key_and_size(pair: Pair, settings: str) -> tuple[str, int]:
    """`key_of`, and the image's size in bytes, which it has to look up."""
    image, mask = facts(pair.image), facts(pair.mask)
    parts = [
        settings,
        str(pair.seed),
        str(pair.image),
        str(image.size),
        image.stamp,
        str(pair.mask),
        str(mask.size),
        mask.stamp,
    ]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16], image.size


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """A report's whole lines; one that was cut off when a machine went down is passed over, and done again."""
    with naming(path) if is_remote(path) else nullcontext(), path.open(encoding="ascii", errors="replace") as file:
        while line := file.readline(LONGEST_LINE):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and all(isinstance(record.get(n), kind) for n, kind in NEEDED.items()):
                yield record


def _end_last_line(descriptor: int) -> None:
    """A cut-off last line must not swallow the next record."""
    end = os.fstat(descriptor).st_size
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        os.write(descriptor, b"\n")
