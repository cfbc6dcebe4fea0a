"""A file that grows in a remote place: kept here while it does, and put there whole from time to time and at the end.

Object stores cannot append. Whoever is killed loses what was added since the last time, and no more.
"""

import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from .atomic import write_bytes
from .errors import FileError
from .places import read

EVERY = 30.0
"""Seconds between two puttings, at least: a killed batch does at most so much again."""

PATIENCE = 20
"""Times as long as a putting took is waited until the next, so that a large file on a slow line takes 5 % of it."""


class Mirror:
    """A local copy of a remote file, put back as it grows. Close it."""

    def __init__(self, remote: Path, every: float = EVERY) -> None:
        """Fetch `remote`, or make it, empty, where there is none; put it every so many seconds. Raises OSError."""
        self._remote = remote
        self._folder = tempfile.TemporaryDirectory(prefix="lgnet-")
        self.local = Path(self._folder.name, remote.name)
        try:
            self.local.write_bytes(read(remote))
        except FileNotFoundError:
            self.local.touch()
            write_bytes(remote, b"")
        self._there = self.local.stat().st_size
        self._every, self._ended = every, threading.Event()
        self._thread = threading.Thread(target=self._keep_putting, name="lgnet-mirror", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Put it one last time. Raises FileError: it is not there as it should be."""
        self._ended.set()
        self._thread.join()
        try:
            self._put()
        except OSError as error:
            raise FileError(
                f"{self._remote}: cannot be written: {error.strerror}", mend="the next run does again what it lacks"
            ) from error
        finally:
            self._folder.cleanup()

    def _keep_putting(self) -> None:
        wait = self._every
        while not self._ended.wait(wait):
            started = time.monotonic()
            with suppress(OSError):  # the last time tells, and until then it may come back
                self._put()
            wait = max(self._every, PATIENCE * (time.monotonic() - started))

    def _put(self) -> None:
        data = self.local.read_bytes()
        if len(data) != self._there:  # whole lines or not: a cut-off last one is passed over by whoever reads it
            write_bytes(self._remote, data)
            self._there = len(data)
