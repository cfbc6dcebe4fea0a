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
    seed: int = 0  # of what is drawn by chance in its refinement


class Pairs:
    """The jobs of a batch, in order; iterate as often as you like."""

    def __init__(self, images: Path, masks: Path, out: Path) -> None:
        """Of files below three folders."""
        self._roots = (images, masks, out)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (it lives as long as this)
        self._count, self._candidates, self._seed = 0, 1, 0

    def draw(self, seed: int, candidates: int) -> None:
        """Give every job this seed; with several candidates, make a job of each, with the next seed and a name of its
        own: `photo.1.png`, `photo.2.png` and so on."""
        self._seed, self._candidates = seed, candidates

    def add(self, names: list[str]) -> None:
        """Append jobs: an image, its mask and its output in turn, by their paths below the three folders."""
        self._file.write(os.fsencode("\0".join([*names, ""]) if names else ""))
        self._count += len(names) // 3

    def __len__(self) -> int:
        return self._count * self._candidates

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
                for number in range(self._candidates):
                    named = candidate(out / output, number + 1) if self._candidates > 1 else out / output
                    yield Pair(images / image, masks / mask, named, seed=self._seed + number)
            del names[:whole]
            if not block:
                return


def candidate(output: Path, number: int) -> Path:
    """The name of one of several results of a photo: `photo.2.png`."""
    return output.with_name(f"{output.stem}.{number}{output.suffix}")
