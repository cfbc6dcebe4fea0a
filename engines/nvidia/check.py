"""`lgnet doctor --gpu-check`: every engine that this machine can run, built, held against the model, and timed.

Each step's findings are written to the report as soon as it ends, so that a GPU that takes the process down leaves what
was found before. A step that fails is reported, and the next one is done.
"""

import hashlib
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from lgnet_cli.engines.build_job import SUFFIXES, BuildJob, check_target, run_build
from lgnet_cli.engines.cost import Cost, cost_of
from lgnet_cli.engines.libraries import TENSORRT, TENSORRT_RTX, TORCH_TENSORRT, TURING
from lgnet_cli.engines.machine import Machine
from lgnet_cli.engines.plan import Precision, read_sidecar
from lgnet_cli.engines.protocol import Engine, Pixels
from lgnet_cli.engines.source import Source, graph_for, open_source, reference
from lgnet_cli.engines.tensorrt import TensorRtEngine, open_plan
from lgnet_cli.engines.verify import Fill, compare, crops, hold
from lgnet_cli.errors import LgnetError, MissingBackend, ModelError, UsageError
from lgnet_cli.model import LGNet, save
from lgnet_cli.weights import DEFAULT_WEIGHTS

from .findings import Check, Thoroughness, table_of
from .profile import Profile, parse_profile
from .surroundings import end_to_end, surroundings
from .timing import Pace, least_seconds, measure

WIDE = 64
"""Width of the paper's model, timed with random weights."""

BATCH = "1,16,16"


@dataclass(frozen=True)
class Way:
    """An engine to check."""

    flavour: str
    precision: Precision

    @property
    def name(self) -> str:
        return f"{self.flavour} {self.precision}"

    def file(self, folder: Path) -> Path:
        return (folder / self.name.replace(" ", "-")).with_suffix(SUFFIXES[self.flavour])


def gpu_check(
    machine: Machine, weights: Path | None, backend: str | None, report: Path, console: Console,
    how: Thoroughness | None = None, command: list[str] | None = None,
) -> None:  # fmt: skip
    """Check all engines, or those of `backend`, write all findings to `report` (JSON), and print them as a table.

    `command` is what runs `lgnet` for the end-to-end run, for tests.

    Raises the first thing that went wrong; ModelError where an engine differs from the model.
    """
    check = Check(machine, report, console, how or Thoroughness())
    try:
        _ready(machine, check.found)
        ways = _ways(machine, backend)
        with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
            _steps(check, ways, weights, Path(folder), command)
    except LgnetError as error:
        check.found["error"] = str(error)
        raise
    finally:
        check.found["good"] = not check.errors and "error" not in check.found
        check.write()
        console.print(f"report: {report}", markup=False)
    console.print(table_of(check.found["steps"]))
    if check.errors:
        raise check.errors[0]


def _ready(machine: Machine, found: dict[str, Any]) -> None:
    found["surroundings"] = surroundings(machine)
    if not machine.gpu:
        raise MissingBackend("--gpu-check: there is no GPU here", mend="run it on the GPU's machine; see: lgnet doctor")


def _ways(machine: Machine, backend: str | None) -> list[Way]:
    """What can be built and run here, the best first. Raises MissingBackend where nothing can."""
    assert machine.gpu
    capability = machine.gpu.capability.replace(".", "")
    usable, missing = [], []
    for flavour in (backend,) if backend else (TENSORRT, TENSORRT_RTX, TORCH_TENSORRT):
        try:
            if flavour != TORCH_TENSORRT:
                machine.tensorrt(flavour)
                machine.driver()
            machine.check_cuda(flavour)
            if flavour == TENSORRT_RTX:
                check_target(machine)
        except MissingBackend as error:
            missing.append(error)
            continue
        if flavour != TORCH_TENSORRT or backend or machine.installed(TORCH_TENSORRT):
            usable.append(flavour)
    if not usable:
        raise missing[-1]
    ways = [Way(flavour, "fp16") for flavour in usable]
    return ways + [Way(f, "fp32") for f in usable if not (f == TENSORRT_RTX and capability == TURING)]


def _steps(check: Check, ways: list[Way], weights: Path | None, folder: Path, command: list[str] | None) -> None:
    source = open_source(weights)
    model, costs = _remembered(reference(source)), _costs(source, folder)
    ways = [way for way in ways if _fits(source, way, folder)]
    for way in ways:
        job = BuildJob(weights, way.precision, way.flavour, way.file(folder), BATCH, verify=False, detailed=True)
        pace = check.how.best if way == ways[0] else check.how.others
        check.step(way.name, partial(_one, check, way.name, job, model, costs, pace))
    if source.model and torch.cuda.is_available():
        for half in (True, False):
            name = f"torch-cuda {'fp16' if half else 'fp32'}"
            check.step(name, partial(_torch, check, name, weights, half, model, costs))
    if check.how.wide:
        check.step(f"width {WIDE}, {ways[0].name}", partial(_wide, check, ways[0], folder))
    best = ways[0].file(folder)
    if check.how.pictures and best.is_file():
        check.step("end to end", partial(end_to_end, best, folder, check.how.pictures, command))


def _remembered(fill: Fill) -> Fill:
    """The model takes seconds on a CPU, and every engine is held against the same crops."""
    known: dict[str, Pixels] = {}

    def filled(images: Pixels, masks: Pixels) -> Pixels:
        key = hashlib.sha256(images.tobytes() + masks.tobytes()).hexdigest()
        if key not in known:
            known[key] = fill(images, masks)
        return known[key]

    return filled


def _fits(source: Source, way: Way, folder: Path) -> bool:
    """Weights fit any; a graph has one precision."""
    if source.model:
        return True
    try:
        graph_for(source, way.precision, parse_profile(BATCH, "256"), folder)
    except UsageError:
        return False
    return True


def _torch(
    check: Check,
    name: str,
    weights: Path | None,
    half: bool,
    model: Fill,
    costs: dict[int, Cost],
    found: dict[str, Any],
) -> None:
    """PyTorch itself, which builds nothing."""
    from lgnet_cli.engines.torch import TorchEngine

    started = time.perf_counter()
    engine = TorchEngine(weights or DEFAULT_WEIGHTS, device="cuda", half=half)
    found["load seconds"] = round(time.perf_counter() - started, 2)
    _measured(check, name, engine, parse_profile("1,8,16", "256"), model, costs, check.how.others, found)


def _one(
    check: Check,
    name: str,
    job: BuildJob,
    model: Fill | None,
    costs: dict[int, Cost],
    pace: Pace,
    found: dict[str, Any],
) -> None:
    """Build, load twice (the second time with what the first compiled), verify, repeat, and time."""
    started = time.perf_counter()
    plan = run_build(job, check.machine, check.console)
    found["build seconds"] = round(time.perf_counter() - started, 2)
    found["sidecar"] = asdict(read_sidecar(plan))
    for load in ("load seconds", "load seconds, again"):
        started = time.perf_counter()
        engine = _opened(plan, check.machine)
        found[load] = round(time.perf_counter() - started, 2)
        if load == "load seconds":
            engine.close()
    _measured(check, name, engine, read_sidecar(plan).profile, model, costs, pace, found)


def _measured(
    check: Check, name: str, engine: Engine, profile: Profile, model: Fill | None, costs: dict[int, Cost], pace: Pace,
    found: dict[str, Any],
) -> None:  # fmt: skip
    try:
        _look(check, name, engine, profile, model, found)
        times = measure(engine, pace)
        if isinstance(engine, TensorRtEngine):
            found["small batches as CUDA graphs"] = engine.captured()
        found["milliseconds"] = {str(batch): t.summary() for batch, t in times.items()}
        _against_roofline(check.machine, costs, found["milliseconds"])
    finally:
        engine.close()


def _look(check: Check, name: str, engine: Engine, profile: Profile, model: Fill | None, found: dict[str, Any]) -> None:
    """Is it right, twice the same, and how far from the engines before it? Raises ModelError."""
    found["beware"] = engine.info.beware
    if isinstance(engine, TensorRtEngine):
        found["free and all bytes of the GPU, loaded"] = engine.memory()
        found["layers"] = check.layers(name, engine.layers())
    images, masks = crops()
    first, second = engine.fill(images, masks), engine.fill(images, masks)
    found["two runs are equal"] = bool((first == second).all())
    if model is None:
        return
    for other, drawn in check.drawn.items():
        found[f"against {other}"] = str(compare(first, drawn, images, masks))
    check.drawn[name] = first
    verdict = hold(engine.fill, model, profile)
    found["verdict"] = asdict(verdict) | {"good": verdict.good, "words": str(verdict)}
    if not verdict.good:
        raise ModelError(f"the engine differs from the model: {verdict}", mend="please report it with that file")


def _against_roofline(machine: Machine, costs: dict[int, Cost], milliseconds: dict[str, dict[str, Any]]) -> None:
    assert machine.gpu
    for batch, times in milliseconds.items():
        floor = least_seconds(costs[int(batch)], machine.gpu) if int(batch) in costs else None
        if floor:
            times["least, computed"] = round(1000 * floor, 4)
            times["of the least"] = round(times.get("compute", times["median"]) / (1000 * floor), 2)


def _costs(source: Source, folder: Path) -> dict[int, Cost]:
    graph = graph_for(source, "fp16", parse_profile(BATCH, "256"), folder)
    return {batch: cost_of(graph, batch, 256) for batch in Pace().batches}


def _wide(check: Check, way: Way, folder: Path, found: dict[str, Any]) -> None:
    """The paper's width: what it costs, not what it draws."""
    weights = folder / "wide.safetensors"
    torch.manual_seed(0)
    save(LGNet(WIDE).eval(), weights, {})
    plan = (folder / "wide").with_suffix(SUFFIXES[way.flavour])
    job = BuildJob(weights, way.precision, way.flavour, plan, BATCH, verify=False)
    _one(check, f"width {WIDE}", job, None, _costs(open_source(weights), folder), check.how.others, found)


def _opened(plan: Path, machine: Machine) -> Engine:
    if read_sidecar(plan).flavour == TORCH_TENSORRT:
        from lgnet_cli.engines.torch_tensorrt import TorchTensorRtEngine, load_torch_tensorrt

        return TorchTensorRtEngine(plan, machine, load_torch_tensorrt())
    return open_plan(plan, machine, cache=plan.parent)
