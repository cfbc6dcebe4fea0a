"""Files that appear whole or not at all."""

import glob
import itertools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .places import is_remote, make_folder, put

LONGEST_SUFFIX = 16
"""Bytes. A temporary file ends as its target does, for whoever goes by suffixes, but must not get too long a name."""

_numbers = itertools.count()  # of this process's unfinished files
_signature: list[str] = []  # in whose name it writes, if not in its own


def temporary_prefix(host: str | None = None, pid: int | None = None, part: int | None = None) -> str:
    """How the names of a process's unfinished files begin; of this one unless told otherwise. `part`: see `sign_as`."""
    if _signature and host is None and pid is None:
        return _signature[-1]
    return f".lgnet-{(host or platform.node())[:64]}-{pid or os.getpid()}-{'' if part is None else f'{part}-'}"


def sign_as(host: str, pid: int, part: int | None = None) -> None:
    """From now on write in the name of another process, which holds the folder: who clears up after it finds all.

    `part`: a number that no other has that writes in that name on this machine, so that none tries another's names.
    """
    _signature.append(temporary_prefix(host, pid, part))


def remove_leftovers(folder: Path, host: str, pid: int) -> int:
    """Delete what a process that is gone left unfinished anywhere below `folder`; how many files that were."""
    start, count = temporary_prefix(host, pid), 0
    if is_remote(folder):  # an object store, where nothing is half-written
        return 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(start):
                Path(parent, name).unlink(missing_ok=True)
                count += 1
    return count


def remove_unfinished(folders: set[Path], prefix: str) -> None:
    """Delete what lies in these folders, not below, with names that begin so: of a process that is gone.

    Raises OSError.
    """
    for folder in folders:
        for path in () if is_remote(folder) else folder.glob(f"{glob.escape(prefix)}*"):
            path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`; when the block ends well it is synced and renamed onto `path`.

    If the block raises, `path` is as it was and the temporary file is gone. Raises OSError (disk full, no permission).
    """
    descriptor, temporary = _create_beside(path)
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    with _renamed(temporary, path):
        yield temporary
        temporary.chmod(mode)  # safetensors makes the file anew, for its owner alone
        _sync(temporary)


def write_bytes(path: Path, data: bytes | memoryview, *, parents: bool = False) -> int:
    """Write `data` to `path`, whole or not at all, wherever that is. Raises OSError (disk full, no permission).

    As `replacing` does, in half its time: the file is opened once. `parents`: make the folders above it if need be.

    Returns:
        When the file was last changed (its ctime), in nanoseconds since 1970; 0 in an object store.
    """
    if is_remote(path):
        put(path, bytes(data))
        return 0
    try:
        descriptor, temporary = _create_beside(path)
    except FileNotFoundError:
        if not parents:
            raise
        make_folder(path.parent)
        descriptor, temporary = _create_beside(path)
    with _renamed(temporary, path), open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return path.stat().st_ctime_ns


@contextmanager
def _renamed(temporary: Path, path: Path) -> Iterator[None]:
    """Rename when the block ends well; else leave nothing."""
    try:
        yield
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _create_beside(path: Path) -> tuple[int, Path]:
    """A new file in the folder of `path`, with the mode that the umask gives, open for writing."""
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    while True:
        temporary = path.with_name(f"{temporary_prefix()}{next(_numbers)}{suffix}")
        try:
            return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary
        except FileExistsError:  # of another that writes in this name, or of one that was killed and had this number
            continue


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
