"""A worker of a batch on Ray: one engine, and the pipeline over the pairs that it is sent. Knows nothing of Ray."""

import os
import platform
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import __version__
from .atomic import sign_as
from .engines.protocol import EngineInfo
from .engines.select import choose, open_engine
from .errors import DeviceLost, LgnetError, ModelError, UsageError
from .imaging.spool import Pair
from .lock import owner_of
from .pipeline import SWITCH_SECONDS, Summary, run
from .report import Record, Report
from .stages import Settings


@dataclass(frozen=True)
class Order:
    """What every worker of a batch is told once."""

    backend: str  # as `--backend` takes it; each worker chooses by what its machine has
    weights: str | None  # the name of a file in `files`; the model that ships if None
    engine: str | None  # likewise, instead of weights
    files: dict[str, bytes]  # the model's, by name, so that they need not lie on every machine
    trust: bool  # run a plan that its sidecar does not vouch for
    threads: int  # CPU threads of the engine
    settings: Settings
    writer: tuple[str, int]  # host and process in whose name files are written: that which holds `out`
    out: Path | None = None  # the folder of results, to see that it is the same one here
    shard: tuple[int, int] | None = None  # the share of it that is held
    version: str = __version__


@dataclass(frozen=True)
class Opened:
    """Where a worker is, and its engine."""

    host: str
    pid: int
    info: EngineInfo
    why: str  # this back end


@dataclass
class Part:
    """What became of the pairs that a worker was sent."""

    records: list[tuple[Record, str]] = field(default_factory=list)  # with the traceback of an unexpected error
    summary: Summary = field(default_factory=Summary)


class Worker:
    """One engine; its methods are called in turn, `open` first."""

    def place(self) -> str:
        """The host's name: a first answer, which says that the worker runs."""
        return platform.node()

    def open(self, order: Order) -> Opened | LgnetError:
        """Load the model. An error is returned: Ray would wrap one that is raised."""
        try:
            return self._open(order)
        except LgnetError as error:
            return error

    def _open(self, order: Order) -> Opened:
        if order.version != __version__:
            raise ModelError(f"lgnet {__version__} is here, {order.version} asks", mend="install the same everywhere")
        _check_same_folder(order)
        sign_as(*order.writer)
        sys.setswitchinterval(SWITCH_SECONDS)
        with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
            for name, data in order.files.items():
                Path(folder, name).write_bytes(data)
            weights, engine = (Path(folder, name) if name else None for name in (order.weights, order.engine))
            choice = choose(order.backend, engine)
            self._engine = open_engine(
                choice, weights=weights, engine=engine, threads=order.threads, trust=order.trust
            )  # whoever loads a model keeps nothing of its files open
        self._settings = order.settings
        return Opened(platform.node(), os.getpid(), self._engine.info, choice.why)

    def fill(self, pairs: list[Pair]) -> Part:
        """Fill and write every pair's image; a file that fails does so alone, as on one machine.

        Ends the process where the engine's GPU failed for good.
        """
        part = Part()

        def on_done(record: Record | None, trace: str) -> None:
            assert record is not None  # what is done already is not sent
            part.records.append((record, trace))

        try:
            run(pairs, self._engine, self._settings, Report(None), part.summary, on_done)
        except DeviceLost as error:  # nothing can be filled in this process any more; Ray has others do it
            print(f"lgnet: {error}", file=sys.stderr, flush=True)
            os._exit(error.exit_code)
        return part


def _check_same_folder(order: Order) -> None:
    """Raise UsageError unless OUT has, seen from here, the lock of the batch: else results would be lost here."""
    if order.out is None:
        return
    owner = owner_of(order.out, order.shard)
    if owner is None or (owner.host, owner.pid) != order.writer:
        raise UsageError(
            f"{order.out}: is not the folder here that it is where the command runs",
            mend="give one on a shared file system, or in an object store: -o",
        )
