"""The batch on Ray: `lgnet inpaint --ray`. Each worker is an actor with an engine, one a GPU or for some CPUs."""

import logging
import os
import platform
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from .crew import Crew, Shape
from .engines.select import BACKENDS, ON_CPU, PLANS
from .errors import ModelError, UsageError
from .imaging.spool import Pair
from .pipeline import Summary
from .places import is_remote
from .report import Record, Report
from .stages import Settings
from .worker import Order

MOST_CPUS = 8
"""Of one worker, unless told otherwise: two smaller ones do more than a larger one."""


PATIENCE = 5.0
"""Seconds for a cluster to answer at all."""

START = "start a cluster with: ray start --head"


def make_order(
    backend: str, weights: Path | None, engine: Path | None, trust: bool, settings: Settings, out: Path | None,
    shard: tuple[int, int] | None = None,
) -> Order:  # fmt: skip
    """What the workers are told, with the model's files: they need not lie on every machine. Raises ModelError.

    `out` is the folder that this process holds, or that share of it; None if it holds none.
    """
    files: dict[str, bytes] = {}
    for model in filter(None, (weights, engine)):
        beside = [model.with_suffix(".onnx"), model.with_suffix(".safetensors"), Path(f"{model}.json")]
        try:
            files |= {file.name: file.read_bytes() for file in {model, *(b for b in beside if b.is_file())}}
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}") from error
    weights_name, engine_name = (model.name if model else None for model in (weights, engine))
    writer = (platform.node(), os.getpid())
    there = out if out is None or is_remote(out) else out.absolute()
    return Order(backend, weights_name, engine_name, files, trust, 1, settings, writer, there, shard)


def wants_gpu(backend: str, engine: Path | None) -> bool | None:
    """Whether workers need a GPU, or make no use of one; None where each takes what its machine has."""
    if backend == "auto":
        return engine.suffix in PLANS if engine else None
    return backend in BACKENDS.keys() - ON_CPU


def shape_of(nodes: list[dict[str, Any]], gpu: bool | None, cpus: int | None) -> Shape:
    """How large workers are: one a GPU where there are some, else one for `cpus` CPUs, else for what all machines have.

    Args:
        nodes: of `ray.nodes()`.
        gpu: as `wants_gpu` says.
        cpus: asked for; None for those of the smallest machine, of each GPU its share, at most MOST_CPUS.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    with_gpu = [has for has in alive if has.get("GPU", 0) >= 1]
    gpus = int(bool(with_gpu) if gpu is None else gpu)
    shares = [has["CPU"] / has["GPU"] for has in with_gpu] if gpus else [has["CPU"] for has in alive]
    return Shape(cpus or max(1, min(MOST_CPUS, int(min(shares, default=1)))), gpus)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """This process as a driver of the cluster at `address` ("auto": the one of this machine). Raises UsageError."""
    _check_listening(address if address != "auto" else os.environ.get("RAY_ADDRESS", ""))
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with _from_the_root():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds: nobody there, another version, an address that is none
        said = str(error).strip().partition("\n")[0]
        raise UsageError(f"--ray {address}: {said}", mend=START) from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would end this process unreported
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _from_the_root() -> Iterator[None]:
    """Workers import from the folder that `init` is called in, where a clone of lgnet would hide what is installed."""
    here = Path.cwd()
    os.chdir(here.anchor)
    try:
        yield
    finally:
        os.chdir(here)


def _check_listening(address: str) -> None:
    """Raise UsageError where nobody listens at host:port, for which Ray itself would wait a quarter of an hour."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():  # found by Ray, or for it to refuse
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--ray {address}: nobody there: {error}", mend=START) from error


def run_on_ray(
    address: str, pairs: Iterable[Pair], total: int, order: Order, gpu: bool | None, cpus: int | None,
    threads: int | None, report: Report, summary: Summary, on_done: Callable[[Record | None, str], None],
    say: Callable[[str], None],
) -> int:  # fmt: skip
    """Fill every pair's image on the cluster at `address`; return how many workers were lost.

    Raises:
        UsageError: no cluster there.
        ModelError: no worker can be had, or none can load the model.
        KeyboardInterrupt: the workers have been ended.
    """
    with connected(address):
        shape = shape_of(ray.nodes(), gpu, cpus)
        order = replace(order, threads=threads or shape.cpus)
        crew = Crew(pairs, total, order, shape, report, summary, on_done, say)
        try:
            crew.run()
        finally:
            crew.close()
        return crew.lost
