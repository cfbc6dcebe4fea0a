"""Plans built once for a machine and kept: what `--backend tensorrt` runs where no engine is named."""

import fcntl
import hashlib
import importlib.metadata
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lgnet_cli import __version__
from lgnet_cli.errors import MissingBackend, ModelError
from lgnet_cli.weights.header import sha256

from .build_job import SUFFIXES, BuildJob, run_build
from .libraries import TORCH_TENSORRT
from .machine import Machine
from .plan import check_file, here, read_sidecar

RECIPE = 2
"""Of how graphs for GPUs are made: raised whenever that changes, so that no plan of an older graph is taken."""

KEY = 32
"""Hex digits of a cached plan's name."""


def built_once(backend: str, weights: Path, folder: Path, machine: Machine) -> Path:
    """The plan of `weights` for this machine in `folder`, built now if it is not there and whole.

    It is keyed by the weights' hash, the GPU, the platform, the versions of lgnet, TensorRT, driver and of what exports
    the graph, and the default job's profile and precision. Raises as `run_build`, and MissingBackend without a GPU.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: no such file")
    if not machine.gpu:
        raise MissingBackend(f"{backend}: there is no GPU here", mend="`lgnet doctor` says what this machine has")
    if backend != TORCH_TENSORRT:
        machine.check_cuda(backend)
        machine.driver()  # what will run it, before minutes of building
    gpu = machine.gpu
    job = BuildJob(weights, backend=backend)
    key = [sha256(weights), __version__, backend, _version(backend, machine), gpu.name, gpu.capability, gpu.cuda]
    key += [job.precision, job.batch, job.size, here(), str(RECIPE), *map(_installed, ("torch", "onnxscript"))]
    plan = folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:KEY]}{SUFFIXES[backend]}"
    with (folder / f"{plan.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, the second finds what the first built
        if not _is_whole(plan):
            run_build(replace(job, out=plan), machine, Console(stderr=True, highlight=False, soft_wrap=True))
    return plan


def _is_whole(plan: Path) -> bool:
    try:
        check_file(plan, read_sidecar(plan))
    except ModelError:  # not there, cut off, or without its sidecar
        return False
    return True


def _version(backend: str, machine: Machine) -> str:
    if backend == TORCH_TENSORRT:
        from .torch_tensorrt import load_torch_tensorrt, versions

        return versions(load_torch_tensorrt())
    return machine.tensorrt(backend).__version__


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
