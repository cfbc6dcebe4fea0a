"""What lies in OUT by an earlier run's word: which results reports know, and whether a file there is one of them.

What a person retouched, and what was never ours, must not be replaced in silence. A result is known by its size and
the time of its last change (ctime, which nobody can set back), as its line of the report has them; where the time is
another (in a copied folder), by its content's hash.
"""

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Any

import numpy as np

from .journal import Unfinished
from .places import Facts, facts, is_remote, read

BLOCK = 1 << 20
"""Bytes of a file that are hashed at a time."""


class Results:
    """What the lines of OUT's reports say, 32 bytes each: of a hundred thousand lines only hashes are kept."""

    def __init__(self) -> None:
        self._outputs, self._facts = array("q"), array("q")  # in the order of lines, until `sort`
        self._stamps, self._contents = array("q"), array("q")
        self._reported = 0.0  # of remote reports: when the last of them was put
        self.unfinished = Unfinished()

    def add(self, record: dict[str, Any]) -> None:
        """A line of a report, in the order they were written."""
        failed, changed = record["status"] == "failed", record.get("changed")
        self._outputs.append(hash(record["output"]))
        self._facts.append(hash((record["key"], -1 if failed else record["bytes"])))
        if not failed:
            known_by = changed if isinstance(changed, int) and changed else record["output"]
            self._stamps.append(hash((record["bytes"], known_by)))
            self._contents.append(_number(str(record.get("sha256", ""))))

    def note_report(self, said: Facts) -> None:
        """A remote report, of which its lines' results are older."""
        self._reported = max(self._reported, said.seconds)

    def sort(self) -> None:
        """Call once, after everything was added: then the others work."""
        order = np.argsort(np.asarray(self._outputs), kind="stable")  # a later line stays behind an earlier one
        self._outputs, self._facts = (array("q", np.asarray(a)[order].tobytes()) for a in (self._outputs, self._facts))
        self._stamps, self._contents = (
            array("q", np.sort(np.asarray(a)).tobytes()) for a in (self._stamps, self._contents)
        )

    def of(self, output: str) -> int | None:
        """The hash of what an output's last line says of it: its key, and its bytes, or -1 if it failed."""
        at = bisect_right(self._outputs, hash(output)) - 1
        return self._facts[at] if at >= 0 and self._outputs[at] == hash(output) else None

    def is_ours(self, output: Path) -> bool:
        """Whether the file at `output` is as a run wrote it. Raises OSError: nothing there, or out of reach."""
        there = facts(output)
        if self.unfinished.holds(output, there, is_known=self.of(str(output)) is not None):
            return True
        return self._is_unchanged(output, there) or _has(self._contents, _number(_sha256(output)))

    def _is_unchanged(self, output: Path, there: Facts) -> bool:
        if is_remote(output):  # whose time nobody knew when the line was written
            return there.seconds < self._reported and _has(self._stamps, hash((there.size, str(output))))
        return _has(self._stamps, hash((there.size, output.stat().st_ctime_ns)))


def _has(numbers: "array[int]", number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _number(sha256: str) -> int:
    """The first 60 bits of a hash, of its hexadecimal digits; -1 of none, which no file has."""
    try:
        return int(sha256[:15], 16)
    except ValueError:
        return -1


def _sha256(path: Path) -> str:
    if is_remote(path):
        return hashlib.sha256(read(path)).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
