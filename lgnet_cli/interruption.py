"""Ctrl-C and SIGTERM: the batch ends itself in good order, and if that takes too long, it ends nevertheless."""

import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

from .errors import ExitCode

GRACE = 1.5
"""Seconds to finish what is being written. A call of the engine, or the encoding of a huge photo, can take longer and
cannot be interrupted; but files appear whole or not at all, and what is not in the report is done again."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals(said: str) -> None:
    """From now on the first of SIGNALS raises KeyboardInterrupt in the main thread, and further ones do nothing.

    If the process is still there GRACE seconds later, it prints `said` and ends with exit code 130. A thread waits for
    that: Python's own handlers have to wait for the main thread, which may be inside a long call.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, said), name="lgnet-signals", daemon=True).start()


def was_interrupted() -> bool:
    """Whether one of SIGNALS has come. What it interrupts may say something else: an import, that it failed."""
    return any(signal.getsignal(number) is _ignore for number in SIGNALS)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, _ignore)  # not SIG_IGN, which a child would inherit
    raise KeyboardInterrupt


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def _watch(reader: socket.socket, said: str) -> None:
    while reader.recv(1)[0] not in SIGNALS:
        pass
    time.sleep(GRACE)
    print(f"lgnet: {said}", file=sys.stderr, flush=True)
    os._exit(ExitCode.INTERRUPTED)
