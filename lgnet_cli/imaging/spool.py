"""The jobs of a batch, as many as there are, at constant memory."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IN_MEMORY = 1 << 20
"""Bytes of pairs that are kept in memory; more go to a file in $TMPDIR that has no name."""


@dataclass(frozen=True)
class Pair:
    """One job: an image, its mask, and where the result goes."""

    image: Path
    mask: Path
    output: Path
    key: str = ""  # as `report.key_of` gives it, where that is known


class Pairs:
    """The jobs of a batch, in order; iterate as often as you like."""

    def __init__(self, images: Path, masks: Path, out: Path) -> None:
        """Of files below three folders."""
        self._roots = (images, masks, out)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (it lives as long as this)
        self._count = 0

    def add(self, names: list[str]) -> None:
        """Append jobs: an image, its mask and its output in turn, by their paths below the three folders."""
        self._file.write(os.fsencode("\0".join([*names, ""]) if names else ""))
        self._count += len(names) // 3

    def __len__(self) -> int:
        return self._count

    def __del__(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Pair]:
        images, masks, out = self._roots
        names: list[bytes] = []
        at, rest = 0, b""
        while True:
            self._file.seek(at)
            block = self._file.read(1 << 16)
            at += len(block)
            *parts, rest = (rest + block).split(b"\0")
            names += parts
            whole = len(names) // 3 * 3
            for i in range(0, whole, 3):
                image, mask, output = map(os.fsdecode, names[i : i + 3])
                yield Pair(images / image, masks / mask, out / output)
            del names[:whole]
            if not block:
                return
