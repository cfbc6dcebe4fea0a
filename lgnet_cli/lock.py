"""One run at a time in an OUT folder, told by a file that names its owner; what a killed run left is seen as such.

The kernel's lock on that file (flock) says whether the owner lives, and goes with it, however it ends. Where file
systems do not carry such locks from machine to machine, the owner's host in the file does: another's is believed.

A remote folder has no such locks. There the file is made only if there is none, which S3 does in one step; whether its
owner lives is told by the process's number where that was on this machine.
"""

import fcntl
import getpass
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .atomic import remove_leftovers
from .errors import UsageError
from .places import create, entries, is_remote, read, remove

NAME = ".lgnet-lock"


@dataclass(frozen=True)
class Owner:
    """Who holds, or held, a lock."""

    host: str
    pid: int
    user: str
    since: str  # local time

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


@contextmanager
def locked(folder: Path, shard: tuple[int, int] | None = None) -> Iterator[Owner | None]:
    """Hold `folder` for the length of the block.

    Args:
        folder: an existing folder.
        shard: (i, n): hold that share of it alone; other shares of the same n may be held by others.

    Yields:
        Whoever was killed while holding it, if anybody; their unfinished files are gone.

    Raises:
        UsageError: another run holds it, or the folder cannot be written.
    """
    path = _path(folder, shard)
    if is_remote(folder):
        with _locked_remote(folder, path, shard) as dead:
            yield dead
        return
    try:
        descriptor = _open(path)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}", mend="give another folder: -o") from error
    try:
        dead = _owner(path)
        if dead and dead.host != platform.node():
            raise _refusal(path, dead)
        try:
            _sign(descriptor, folder)
            _check_others(folder, path, shard)
            if dead:
                remove_leftovers(folder, dead.host, dead.pid)
            yield dead
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def owner_of(folder: Path, shard: tuple[int, int] | None = None) -> Owner | None:
    """Whom the lock of a folder, or of a share of it, names; None where there is none, or none that can be read."""
    return _owner(_path(folder, shard))


def _path(folder: Path, shard: tuple[int, int] | None) -> Path:
    return folder / (NAME + (f"-{shard[0]}-of-{shard[1]}" if shard else ""))


@contextmanager
def _locked_remote(folder: Path, path: Path, shard: tuple[int, int] | None) -> Iterator[Owner | None]:
    me = json.dumps(asdict(_me())).encode()
    try:
        dead = _clear_if_dead(folder, path)
        create(path, me)
    except FileExistsError:
        raise _refusal(path, _owner(path)) from None
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}", mend="give another folder: -o") from error
    try:
        _check_other_remotes(folder, path, shard)
        yield dead
    finally:
        with suppress(OSError):  # out of reach: the next run here sees that its owner is gone
            remove(path)


def _check_other_remotes(folder: Path, mine: Path, shard: tuple[int, int] | None) -> None:
    """As `_check_others`."""
    try:
        for name, _, _ in entries(folder):
            compatible = shard and name.endswith(f"-of-{shard[1]}")
            if name.startswith(NAME) and name != mine.name and not compatible:
                _clear_if_dead(folder, folder / name)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}", mend="give another folder: -o") from error


def _clear_if_dead(folder: Path, path: Path) -> Owner | None:
    """Remove a remote lock whose owner, a process of this machine, is gone. Raises UsageError: it may live."""
    try:
        owner = _owner_in(read(path))
    except FileNotFoundError:
        return None
    if owner is None or owner.host != platform.node() or _lives(owner.pid):
        raise _refusal(path, owner)
    remove_leftovers(folder, owner.host, owner.pid)
    remove(path)
    return owner


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sign(descriptor: int, folder: Path) -> None:
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(_me())).encode(), 0)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}", mend="make room there") from error


def _open(path: Path) -> int:
    """Open and lock. Raises UsageError where another holds it, OSError where the folder does not allow it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:  # else its holder has just deleted it
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise _refusal(path, _owner(path)) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _check_others(folder: Path, mine: Path, shard: tuple[int, int] | None) -> None:
    """A whole run beside shares, or shares of different counts, would do the same images twice.

    Each makes its own file before it looks for others, so of two that start at once at least one sees the other.
    """
    for path in folder.glob(NAME + "*"):
        compatible = shard and path.name.endswith(f"-of-{shard[1]}")
        if path == mine or compatible:
            continue
        owner = _owner(path)
        if owner and owner.host == platform.node() and not _is_held(path):
            remove_leftovers(folder, owner.host, owner.pid)
            path.unlink(missing_ok=True)
        else:
            raise _refusal(path, owner)


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _refusal(path: Path, owner: Owner | None) -> UsageError:
    rm = f"python -c \"from upath import UPath; UPath('{path}').unlink()\"" if is_remote(path) else f"rm {path}"
    return UsageError(
        f"{path.parent}: another run is at work here: {owner or 'it has not said who it is'}",
        mend=f"wait for it; if that machine has gone down: {rm}",
    )


def _owner(path: Path) -> Owner | None:
    """What a lock file says; None for an empty or broken one."""
    try:
        return _owner_in(read(path))
    except OSError:
        return None


def _owner_in(data: bytes) -> Owner | None:
    try:
        said = json.loads(data)
        return Owner(str(said["host"]), int(said["pid"]), str(said["user"]), str(said["since"]))
    except (ValueError, TypeError, KeyError):
        return None


def _me() -> Owner:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, in a container
        user = str(os.getuid())
    return Owner(platform.node(), os.getpid(), user, time.strftime("%Y-%m-%d %H:%M:%S"))
