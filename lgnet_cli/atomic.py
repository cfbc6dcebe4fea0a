"""Files that appear whole or not at all."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .places import is_remote, make_folder, put

LONGEST_SUFFIX = 16
"""Bytes. A temporary file ends as its target does, for whoever goes by suffixes, but must not get too long a name."""

_UMASK = os.umask(0o022)  # it can only be read by setting it, so once, before there are threads
os.umask(_UMASK)


_signature: list[str] = []


def temporary_prefix(host: str | None = None, pid: int | None = None) -> str:
    """How the names of a process's unfinished files begin; of this one, unless told otherwise."""
    if _signature and host is None and pid is None:
        return _signature[-1]
    return f".lgnet-{(host or platform.node())[:64]}-{pid or os.getpid()}-"


def sign_as(host: str, pid: int) -> None:
    """From now on write in the name of another process, which holds the folder: who clears up after it finds all."""
    _signature.append(temporary_prefix(host, pid))


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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`; when the block ends well it is synced and renamed onto `path`.

    If the block raises, `path` is as it was and the temporary file is gone. Raises OSError (disk full, no permission).
    """
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(), suffix=suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # mkstemp gives 0600; the result is an ordinary file
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes | memoryview, *, parents: bool = False) -> None:
    """Write `data` to `path`, whole or not at all, wherever that is. Raises OSError (disk full, no permission).

    `parents`: make the folders above it if they are not there.
    """
    if parents:
        make_folder(path.parent)
    if is_remote(path):
        put(path, bytes(data))
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
