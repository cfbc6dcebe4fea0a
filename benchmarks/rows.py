"""A line for every picture of every method, written as it is measured, read to go on: OUT/quality-rows.jsonl."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lgnet_cli.errors import UsageError

NAME = "quality-rows.jsonl"


class Rows:
    """The rows of one run, on disk; memory holds a short key for each. Used from one thread, `is_done` from any."""

    def __init__(self, folder: Path, *, resume: bool, overwrite: bool, name: str = NAME) -> None:
        """Open or make the rows in `folder`.

        Args:
            folder: is there.
            resume: keep what an earlier run measured.
            overwrite: begin anew.
            name: of their file.

        Raises:
            UsageError: neither was said, and there are rows.
        """
        self._path = folder / name
        self._done: set[str] = set()
        self._wanted: set[str] = set()
        if self._path.exists() and not (resume or overwrite):
            raise UsageError(
                f"{self._path}: an earlier run's figures are there", mend="--resume goes on, --overwrite begins anew"
            )
        if resume:
            self._done = {row["key"] for row in self._lines()}
        self._file = self._path.open("a" if resume else "w", encoding="ascii")
        if resume and self._path.stat().st_size:
            self._file.write("\n")  # a line that was cut off must not swallow the next; empty ones are passed over

    def is_done(self, key: str) -> bool:
        """Whether an earlier run measured this; either way it is now wanted."""
        self._wanted.add(key)
        return key in self._done

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; its "key" was asked for before."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows wanted by this run, measured by it or before, each once."""
        seen = set()
        for row in self._lines():
            if row["key"] in self._wanted and row["key"] not in seen:
                seen.add(row["key"])
                yield row

    def close(self) -> None:
        self._file.close()

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._path.is_file():
            return
        with self._path.open(encoding="ascii", errors="replace") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:  # cut off when a machine went down: measured again
                    continue
                if isinstance(row, dict) and {"key", "method", "image", "bucket"} <= row.keys():
                    yield row
