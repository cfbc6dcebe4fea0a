"""A file's bytes, whole and unchanged, or an error that names it. Nothing hangs, or allocates what a file claims."""

import io
import os
import stat
from pathlib import Path

from lgnet_cli.errors import FileError
from lgnet_cli.places import get, is_remote


def file_limit(max_pixels: int) -> int:
    """Bytes that a file of so many pixels can have: 16-bit RGBA as it is, and 64 MiB of everything else."""
    return 8 * max_pixels + (1 << 26)


def read_whole(path: Path, limit: int) -> bytes:
    """The bytes of an ordinary file.

    Args:
        path: the file. A pipe or a device of that name is refused, not waited for.
        limit: bytes; a larger file is refused before memory is asked for.

    Raises:
        FileError: not an ordinary file, unreadable, too large, or changed while it was read.
    """
    if is_remote(path):
        return get(path, limit)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise FileError(f"{path}: not an ordinary file")
            if before.st_size > limit:
                raise FileError(f"{path}: {before.st_size:,} bytes; with this --max-pixels the limit is {limit:,}")
            data = _up_to(before.st_size + 1, file)  # one more than there should be: a file that grows is seen
            after = os.fstat(descriptor)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    if (len(data), after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise FileError(f"{path}: changed while it was read", mend="run the same command again when it is whole")
    return data


def _up_to(most: int, file: io.FileIO) -> bytes:
    """What is left of a file, but no more than `most` bytes; Linux hands out 2 GiB at a time."""
    data = file.read(most)
    while len(data) < most and (more := file.read(most - len(data))):
        data += more
    return data
