"""Where files lie: in folders of this machine, or at what fsspec reaches (s3://, gs:// and others).

A remote place is a UPath of universal_pathlib, which has of pathlib's Path what is used here and is called so in
types. Everything of this machine stays with `os` and pathlib, and fsspec is imported for a remote place alone.
"""

import errno
import importlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from .errors import FileError, MissingBackend, UsageError

OBJECT_STORES = {"s3", "gs", "abfs", "memory"}
"""By fsspec's first name for each. An object appears whole when its PUT ends, and there are no folders to make."""

THIS_MACHINE = {"file", "local"}

SPEAK = {
    "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs", "sftp": "paramiko",
    "ssh": "paramiko",
}  # fmt: skip
"""Protocol: the package that fsspec wants for it, besides those of lgnet[remote]."""

CHANGES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
MARKS = ("ETag", "etag", "md5Hash", "generation")
"""Where fsspec's file systems say when a file was written, and which of its contents it is."""

LISTED = 4
"""Folders whose listings are remembered: that of the images, the masks and the results, and one in change."""


class Facts(NamedTuple):
    """What tells one content of a file from another."""

    size: int  # bytes
    stamp: str  # the time of writing first, so that later ones sort behind, and an object store's own mark; here, the
    # time of the last change too, which follows content and name and which nobody can set back

    @property
    def seconds(self) -> float:
        """When a remote file was written, in its store's time; infinity where the store does not say."""
        try:
            return float(self.stamp.partition(" ")[0])
        except ValueError:
            return math.inf


def place(text: str) -> Path:
    """What a person typed as a Path, or as a UPath where it has a protocol, such as s3://bucket/folder.

    Raises:
        MissingBackend: what speaks that protocol is not installed.
        UsageError: no such protocol, or `.` or `..` in a remote path.
    """
    protocol, found, rest = text.partition("://")
    if not found or os.sep in protocol:
        return Path(text)
    if {".", ".."} & set(rest.split("/")):
        raise UsageError(f"{text}: has . or .. in it", mend="give the path in full")
    if protocol in THIS_MACHINE:
        return Path(rest)
    protocol = _first_name(protocol, text)
    from upath import UPath

    return cast(Path, UPath(f"{protocol}://{rest}"))


def _first_name(protocol: str, text: str) -> str:
    """Of several names of one thing, such as s3 and s3a, fsspec's first: two names must not hide that OUT is IMAGES."""
    try:
        fsspec = importlib.import_module("fsspec")
        importlib.import_module("upath")
        names = fsspec.get_filesystem_class(protocol).protocol
    except ImportError as error:
        packages = " ".join(["'lgnet[remote]'", *([SPEAK[protocol]] if protocol in SPEAK else [])])
        raise MissingBackend(f"{text}: {error}", mend=f"install it with: pip install {packages}") from error
    except ValueError as error:
        raise UsageError(f"{text}: fsspec knows no protocol {protocol}://") from error
    return names if isinstance(names, str) else str(names[0])


def is_remote(path: Path) -> bool:
    """Whether `path` is a UPath, not a file or folder of this machine."""
    return not isinstance(path, Path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of remote file systems, which have many kinds, as OSError with `strerror` and `filename`."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        number = number or (errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EIO)
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        kind = type(error) if isinstance(error, FileNotFoundError | FileExistsError | PermissionError) else OSError
        raise kind(number, said.partition("\n")[0], str(path)) from error


def is_file(path: Path) -> bool:
    """Whether there is an ordinary file. Of a remote one, raises OSError where the answer cannot be had."""
    return _kind(path) == "file" if is_remote(path) else path.is_file()


def is_dir(path: Path) -> bool:
    """Whether there is a folder; in an object store, anything below that name."""
    return _kind(path) == "directory" if is_remote(path) else path.is_dir()


def exists(path: Path) -> bool:
    """Whether there is anything."""
    return _kind(path) is not None if is_remote(path) else path.exists()


def _kind(path: Path) -> str | None:
    files, name = _of(path)
    with naming(path):
        try:
            return str(files.info(name)["type"])
        except FileNotFoundError:
            return None


def real(path: Path) -> Path:
    """`path` without links; remote places have none that could be followed."""
    return path if is_remote(path) else path.resolve()


def within(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or below it, both as `real` gives them."""
    return is_remote(path) == is_remote(folder) and path.is_relative_to(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; an object store has none, and fsspec would make buckets. Raises OSError."""
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _is_store(path: Path) -> bool:
    """Whether a remote place is an object store."""
    return path.protocol in OBJECT_STORES  # type: ignore[attr-defined]


def entries(folder: Path) -> list[tuple[str, str, Facts]]:
    """(name, "file", "directory" or another kind, facts) of what is in a remote folder, as it is now, or OSError.

    Names may be empty, `.` or `..`, which object stores allow and file systems do not.
    """
    files, name = _of(folder)
    with naming(folder):
        files.invalidate_cache()  # of fsspec's own memory, which would keep listings of any size
        found = files.ls(name, detail=True)
        files.invalidate_cache()
    base, listed = name.rstrip("/"), []
    for info in found:
        whole = str(info["name"])
        below = whole[len(base) + 1 :] if whole.startswith(base + "/") else whole
        is_itself = whole == base or (not below and info["type"] == "file")  # its marker, or a file of that name
        if not is_itself:
            listed.append((below.rstrip("/"), str(info["type"]), _facts(info)))
    return listed


def facts(path: Path) -> Facts:
    """Size and time of a file; of a remote one, from its folder's listing, asked for once. Raises OSError."""
    if not is_remote(path):
        stat = path.stat()
        return Facts(stat.st_size, f"{stat.st_mtime_ns} {stat.st_ctime_ns}")
    found = _listing(path.parent).get(path.name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return found


def is_listed(path: Path) -> bool:
    """Whether there is anything of that name; of remote names, files, as `facts` knows them. Raises OSError."""
    return path.name in _listing(path.parent) if is_remote(path) else path.exists()


def forget() -> None:
    """Ask for listings anew from now on."""
    _listing.cache_clear()


@lru_cache(LISTED)
def _listing(folder: Path) -> dict[str, Facts]:
    try:
        return {name: said for name, kind, said in entries(folder) if kind == "file"}
    except FileNotFoundError:
        return {}


def _facts(info: dict[str, Any]) -> Facts:
    changed = next((info[key] for key in CHANGES if info.get(key)), "")
    if isinstance(changed, datetime):  # in UTC, wherever it is asked
        changed = f"{changed.timestamp():.6f}"
    marks = [str(info[key]) for key in MARKS if info.get(key)]
    return Facts(int(info.get("size") or 0), " ".join([str(changed), *marks]))


def get(path: Path, limit: int) -> bytes:
    """A remote file's bytes. Raises FileError: gone, unreadable, larger than `limit` bytes, or changed meanwhile."""
    files, name = _of(path)
    try:
        with naming(path):
            size = int(files.info(name)["size"] or 0)
            if size <= limit:
                data = bytes(files.cat_file(name))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    if size > limit:
        raise FileError(f"{path}: {size:,} bytes; with this --max-pixels the limit is {limit:,}")
    if len(data) != size:
        raise FileError(f"{path}: changed while it was read", mend="run the same command again when it is whole")
    return data


def read(path: Path) -> bytes:
    """A file's bytes, of any length, wherever it is. Raises OSError."""
    if not is_remote(path):
        return path.read_bytes()
    files, name = _of(path)
    with naming(path):
        return bytes(files.cat_file(name))


def put(path: Path, data: bytes) -> None:
    """Write a file to an object store, by one PUT: whole or not at all. Raises OSError."""
    files, name = _of(path)
    with naming(path):
        files.pipe_file(name, data)


def check_writable(path: Path) -> None:
    """Raise UsageError for a remote place that is no object store.

    Elsewhere fsspec's rename is a copy, or does not replace, and results could be seen half-written.
    """
    if is_remote(path) and not _is_store(path):
        raise UsageError(f"{path}: lgnet writes to object stores (s3, gs, abfs) and to folders", mend="mount it")


def create(path: Path, data: bytes) -> None:
    """Write a remote file that is not there yet. Raises FileExistsError, or another OSError."""
    files, name = _of(path)
    with naming(path):
        files.pipe_file(name, data, mode="create")


def remove(path: Path) -> None:
    """Delete a remote file. Raises OSError."""
    files, name = _of(path)
    with naming(path):
        files.rm_file(name)


def _of(path: Path) -> tuple[Any, str]:
    """A remote path's file system, and its name there."""
    with naming(path):
        return path.fs, path.path  # type: ignore[attr-defined]
