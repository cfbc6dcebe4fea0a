"""Plans built once for a machine and kept: what `--backend tensorrt` runs where no engine is named."""

import fcntl
import hashlib
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lgnet_cli.errors import MissingBackend
from lgnet_cli.weights.header import sha256

from .build_job import BuildJob, run_build
from .machine import Machine

KEY = 32
"""Hex digits of a cached plan's name."""


def built_once(backend: str, weights: Path, folder: Path, machine: Machine) -> Path:
    """The plan of `weights` for this machine in `folder`, built now if it is not there.

    It is keyed by the weights' hash, the GPU, the versions of TensorRT and driver, and the default job's profile and
    precision. Raises as `run_build`, and MissingBackend without a GPU.
    """
    if not machine.gpu:
        raise MissingBackend(f"{backend}: there is no GPU here", mend="`lgnet doctor` says what this machine has")
    gpu, trt = machine.gpu, machine.tensorrt(backend)
    job = BuildJob(weights, backend=backend)
    key = [sha256(weights), backend, trt.__version__, gpu.name, gpu.capability, gpu.cuda]
    key += [job.precision, job.batch, job.size]
    plan = folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:KEY]}.plan"
    with (folder / f"{plan.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, the second finds what the first built
        if not plan.is_file():
            run_build(replace(job, out=plan), machine, Console(stderr=True, highlight=False, soft_wrap=True))
    return plan
