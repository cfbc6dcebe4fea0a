"""`lgnet doctor`: what this machine has, what is missing, and, on a GPU, whether engines build, agree and how fast."""

import importlib.metadata
import importlib.util
import json
import platform
import statistics
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from rich.console import Console

from lgnet_cli import __version__
from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import LgnetError, MissingBackend, ModelError

from .libraries import INSTALL, PYCUDA, TENSORRT, TENSORRT_RTX, TORCH_TENSORRT
from .machine import Machine
from .nvidia.versions import known_bad
from .plan import read_sidecar
from .protocol import Engine
from .verify import crops, hold

BATCHES = (1, 8, 16)
RUNS = 30
WARM_UP = 5


@dataclass(frozen=True)
class Part:
    """Something that back ends need."""

    name: str
    found: str  # its version or name, "" where it is missing or does not work
    wanted_for: str
    mend: str  # the command that installs it, or what is wrong with it


def inventory(machine: Machine) -> list[Part]:
    """What is here, in the order it is printed."""
    gpu = machine.gpu
    parts = [
        Part("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}", "", ""),
        Part("GPU", f"{gpu.name}, compute capability {gpu.capability}, {gpu.memory / 2**30:.0f} GiB" if gpu else "",
             "torch-cuda, tensorrt, tensorrt-rtx, torch-tensorrt", "needs an NVIDIA GPU: check with nvidia-smi"),
        Part("driver", f"CUDA {gpu.cuda}" if gpu else "", "as the GPU", "install NVIDIA's driver"),
    ]  # fmt: skip
    parts += [_loaded(machine, name) for name in (TENSORRT, TENSORRT_RTX)]
    reported = known_bad(parts[3].found, gpu.capability) if gpu else ""
    parts += [Part("beware", reported, "", "")] if reported else []
    parts += [
        _package("pycuda", PYCUDA, "nothing: plans run by lgnet's own driver calls without it", INSTALL[PYCUDA]),
        _package("torch_tensorrt", TORCH_TENSORRT, TORCH_TENSORRT, INSTALL[TORCH_TENSORRT]),
        _package("torch", "PyTorch", "torch, torch-cuda, building engines", "pip install 'lgnet[torch]'"),
        _package("onnxscript", "ONNX export", "building engines", "pip install 'lgnet[torch]'"),
        _package("onnxruntime", "ONNX Runtime", "onnxruntime", "pip install onnxruntime"),
        _package("openvino", "OpenVINO", "openvino", "pip install 'lgnet[openvino]'"),
    ]
    return parts


def show(parts: list[Part], console: Console) -> None:
    for part in parts:
        console.print(f"{part.name:13} {part.found or f'missing (for {part.wanted_for}): {part.mend}'}", markup=False)


def gpu_check(
    machine: Machine, weights: Path | None, backend: str | None, report: Path, console: Console, *, runs: int = RUNS
) -> None:
    """Build, verify and time on this machine's GPU, and write all of it to `report` (JSON), also when it fails.

    Raises what went wrong; ModelError where the engine differs from the model.
    """
    found: dict[str, object] = {"lgnet": __version__, "date": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    found["machine"] = {part.name: part.found or part.mend for part in inventory(machine)}
    try:
        _check(machine, weights, backend, found, console, runs)
    except LgnetError as error:
        found["error"] = str(error)
        raise
    except Exception as error:  # of CUDA, TensorRT or PyTorch: what the report is for
        found["error"] = "".join(traceback.format_exception(error))
        raise
    finally:
        write_bytes(report, (json.dumps(found, indent=2) + "\n").encode())
        console.print(f"report: {report}", markup=False)


def _check(
    machine: Machine, weights: Path | None, backend: str | None, found: dict[str, object], console: Console, runs: int
) -> None:
    from .build_job import SUFFIXES, BuildJob, chosen, run_build
    from .source import open_source, reference

    if not machine.gpu:
        raise MissingBackend("--gpu-check: there is no GPU here", mend="run it on the GPU's machine; see: lgnet doctor")
    flavour, _ = chosen(backend, machine)
    if flavour != TORCH_TENSORRT:
        machine.check_cuda(flavour)
        machine.driver()  # without which a plan would be built for nothing
    with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
        batch = ",".join(map(str, (BATCHES[0], BATCHES[1], BATCHES[-1])))
        out = Path(folder, "check").with_suffix(SUFFIXES[flavour])
        job = BuildJob(weights, backend=flavour, out=out, batch=batch, verify=False)
        started = time.perf_counter()
        plan = run_build(job, machine, console)
        found["sidecar"], found["build seconds"] = asdict(read_sidecar(plan)), round(time.perf_counter() - started, 1)
        engine = _opened(plan, machine)
        try:
            verdict = hold(engine.fill, reference(open_source(weights)), read_sidecar(plan).profile)
            found["good"], found["verdict"] = verdict.good, str(verdict)
            console.print(f"against the FP32 model: {verdict}", markup=False)
            found["milliseconds a call, copies included"] = latency(engine, console, runs)
        finally:
            engine.close()
    if not verdict.good:
        raise ModelError(f"the engine differs from the model: {verdict}", mend="please report it with that file")


def latency(engine: Engine, console: Console, runs: int = RUNS) -> dict[str, float]:
    """{batch: median milliseconds of a call of `fill`}, copies to and from the device included; printed too."""
    images, masks = crops()
    medians = {}
    for batch in BATCHES:
        image, mask = (np.resize(a, (batch, *a.shape[1:])) for a in (images, masks))
        seconds = []
        for run in range(WARM_UP + runs):
            started = time.perf_counter()
            engine.fill(image, mask)
            if run >= WARM_UP:
                seconds.append(time.perf_counter() - started)
        medians[str(batch)] = round(1000 * statistics.median(seconds), 3)
        console.print(f"batch {batch:3} of 256 x 256: {medians[str(batch)]:.2f} ms, median of {runs}, copies included")
    return medians


def _opened(plan: Path, machine: Machine) -> Engine:
    if read_sidecar(plan).flavour == TORCH_TENSORRT:
        from .torch_tensorrt import TorchTensorRtEngine, load_torch_tensorrt

        return TorchTensorRtEngine(plan, machine, load_torch_tensorrt())
    from .tensorrt import open_plan

    return open_plan(plan, machine)


def _loaded(machine: Machine, flavour: str) -> Part:
    """Loaded for good, since an installed package may lack its libraries."""
    try:
        version = machine.tensorrt(flavour).__version__
        machine.check_cuda(flavour)
        return Part(flavour, version, flavour, "")
    except MissingBackend as error:
        return Part(flavour, "", flavour, f"{error.mend} ({error.args[0]})")


def _package(module: str, name: str, wanted_for: str, install: str) -> Part:
    try:
        there = importlib.util.find_spec(module) is not None
        version = importlib.metadata.version(module.replace("_", "-")) if there else ""
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Part(name, version, wanted_for, install)
