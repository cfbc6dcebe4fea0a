"""OUT/.lgnet-begun: the results that a run is about to write, so that the next knows those of a killed one for ours.

Between a result's appearing and its line in the report a run can be killed. Without this, such a result would look like
a file of somebody else's. It goes when its run ends in order.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .atomic import write_bytes
from .places import Facts, entries, exists, is_remote, remove

NAME = ".lgnet-begun"
BEGUN, RECORDED = b"+", b"-"
"""What a name in the journal begins with; it ends with a zero byte."""


class Unfinished:
    """What killed runs had begun and not recorded."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read the journals in OUT. Raises OSError."""
        self._names: set[bytes] = set()
        self._since: float | None = None  # remote folders' only word
        if folder is None:
            return
        if is_remote(folder):
            found = [said.seconds for name, _, said in _listed(folder) if name.startswith(NAME)]
            self._since = min(found, default=None)
            return
        for path in folder.glob(f"{NAME}*"):
            for line in path.read_bytes().split(b"\0")[:-1]:
                (self._names.add if line[:1] == BEGUN else self._names.discard)(line[1:])

    def holds(self, output: Path, there: Facts, *, is_known: bool) -> bool:
        """Whether a killed run may have written this, whose `facts` are given. `is_known`: a report has a line of it.

        An object store's journal has no names, so that there it is every result without a line that is younger.
        """
        if not is_remote(output):
            return os.fsencode(str(output)) in self._names
        return self._since is not None and not is_known and there.seconds >= self._since


class Journal:
    """This run's own. Close it. What it cannot note (disk full), the next run may refuse to replace, by name."""

    def __init__(self, folder: Path, shard: tuple[int, int] | None) -> None:
        """Open that of `folder`, or of a share of the work there. Raises OSError."""
        self._folder, self._shard = folder, shard
        self._path = folder / (NAME + (f"-{shard[0]}-of-{shard[1]}" if shard else ""))
        self._descriptor: int | None = None
        self._open: dict[str, Path] = {}  # begun and not recorded
        if not is_remote(folder):
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        elif all(name != self._path.name for name, *_ in _listed(folder)):
            write_bytes(self._path, b"")

    def begin(self, outputs: Iterable[Path]) -> None:
        """These are about to be written."""
        outputs = list(outputs)
        self._open |= {str(output): output for output in outputs}
        self._note(b"".join(b"\0" + BEGUN + os.fsencode(str(output)) + b"\0" for output in outputs))

    def record(self, output: str) -> None:
        """The report has a line of it now."""
        self._open.pop(output, None)
        self._note(b"\0" + RECORDED + os.fsencode(str(output)) + b"\0")

    def close(self) -> None:
        """A run of the whole does away with what shares have left, too.

        The journal stays if something was written that has no line: by a worker on another machine, whose word did not
        come before the run was interrupted.
        """
        with suppress(OSError):
            if any(map(exists, self._open.values())):
                if self._descriptor is not None:
                    os.close(self._descriptor)
                return
            if self._descriptor is None:
                names = [name for name, *_ in _listed(self._folder) if self._is_spent(name)]
                for name in names:
                    remove(self._folder / name)
                return
            os.close(self._descriptor)
            for path in self._folder.glob(f"{NAME}*"):
                if self._is_spent(path.name):
                    path.unlink()

    def _is_spent(self, name: str) -> bool:
        return name == self._path.name or (self._shard is None and name.startswith(NAME))

    def _note(self, names: bytes) -> None:
        """With a zero byte before each, too: a name that was cut off spoils no other."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, names)


def _listed(folder: Path) -> list[tuple[str, str, Facts]]:
    try:
        return entries(folder)
    except FileNotFoundError:
        return []
