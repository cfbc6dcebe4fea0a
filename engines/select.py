"""From a name or a file to an engine. Nothing is imported before it is wanted, nothing missing is silently replaced."""

import ctypes
import importlib
import importlib.util
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import cast

from lgnet_cli.errors import MissingBackend, ModelError, UsageError
from lgnet_cli.weights import DEFAULT_GRAPH, DEFAULT_WEIGHTS
from lgnet_cli.weights.header import read_header, sha256

from .kept import cache_folder as cache_folder
from .protocol import Engine


@dataclass(frozen=True)
class Backend:
    """Where a back end's engine is, and what it needs."""

    target: str  # "module:class", imported only when it is chosen; "" for plans, which `_open_plan` opens
    needs: str  # the import that must be there
    install: str  # what puts it there
    reads: str  # "graph" (ONNX), "weights" (native) or "plan" (built for a GPU)


BACKENDS = {
    "onnxruntime": Backend("onnxruntime:OnnxRuntimeEngine", "onnxruntime", "pip install onnxruntime", "graph"),
    "openvino": Backend("openvino:OpenVinoEngine", "openvino", "pip install 'lgnet[openvino]'", "graph"),
    "torch": Backend("torch:TorchEngine", "torch", "pip install 'lgnet[torch]'", "weights"),
    "torch-cuda": Backend("torch:TorchEngine", "torch", "pip install 'lgnet[torch]'", "weights"),
    "tensorrt": Backend("", "tensorrt", "pip install 'lgnet[tensorrt]'", "plan"),
    "tensorrt-rtx": Backend("", "tensorrt_rtx_bindings", "pip install 'lgnet[rtx]'", "plan"),
    "torch-tensorrt": Backend("", "torch_tensorrt", "pip install 'lgnet[torch-tensorrt]'", "plan"),
}

ON_CPU = {"onnxruntime", "openvino", "torch"}
"""Back ends that make no use of a GPU."""

PLANS = {".plan", ".engine", ".pt2"}
"""Suffixes of what `lgnet build-engine` builds for GPUs."""


_REMAKE = "lgnet weights export WEIGHTS -o FOLDER"


@dataclass(frozen=True)
class Choice:
    """A back end and the words that say why."""

    name: str
    why: str


def choose(name: str, engine: Path | None = None) -> Choice:
    """The back end that `name` stands for, given the engine's file if there is one.

    Raises UsageError (no such name), MissingBackend (not installed here), ModelError (a plan without its sidecar).
    """
    if name == "auto" and engine and engine.suffix in PLANS:
        flavour = _flavour(engine)
        return Choice(flavour, f"{engine.name} was built by it")
    if name == "auto" and engine:
        return Choice("onnxruntime", f"{engine.name} is a graph")
    if name == "auto":
        return default_for(cuda_devices(), cuda_version(), cuda_of_torch())
    if name not in BACKENDS:
        raise UsageError(f"no back end is called {name!r}", mend=f"there are: auto, {', '.join(BACKENDS)}")
    backend = BACKENDS[name]
    if not _installed(backend.needs):
        raise MissingBackend(f"back end {name} is not installed here", mend=f"install it with: {backend.install}")
    return Choice(name, "named")


def default_for(devices: int, driver: str, torch: str | None) -> Choice:
    """The back end of a machine with so many CUDA devices.

    Args:
        devices: CUDA devices that the driver shows.
        driver: the newest CUDA it serves, such as "13.0".
        torch: the CUDA that the installed PyTorch is for, "" for none, None where there is no PyTorch.
    """
    if not devices or torch is None:
        return Choice("onnxruntime", "the default on a CPU")
    if not torch:
        return Choice("onnxruntime", "there is a CUDA device, but the PyTorch that is installed is for CPUs alone")
    if int(torch.partition(".")[0]) > int(driver.partition(".")[0]):
        return Choice("onnxruntime", f"PyTorch is for CUDA {torch}, and the driver serves CUDA {driver}: update it")
    return Choice("torch-cuda", "a CUDA device is here")


def open_engine(
    choice: Choice,
    *,
    weights: Path | None = None,
    engine: Path | None = None,
    threads: int | None = None,
    trust: bool = False,
) -> Engine:
    """Load the chosen back end.

    Args:
        choice: from `choose`.
        weights: native weights (.safetensors); the model that ships if None.
        engine: an exported graph (.onnx) or a plan to run as it is; then `weights` must be None.
        threads: CPU threads; all that this process may use if None.
        trust: run a plan though its hash is not that of its sidecar; a plan is code.

    Raises:
        ModelError: a file is missing, broken, or of a kind the back end cannot read.
    """
    backend = BACKENDS[choice.name]
    if backend.reads == "plan":
        return _open_plan(choice.name, engine or _built_once(choice.name, weights), trust)
    if engine and engine.suffix in PLANS:
        raise UsageError(f"{engine}: back end {choice.name} runs no plans", mend="leave --backend out")
    if backend.reads == "weights":
        if engine:
            raise UsageError(
                f"{engine}: back end {choice.name} runs weights, not graphs", mend="give it with --weights"
            )
        model = weights or DEFAULT_WEIGHTS
    else:
        model = engine or (graph_of(weights) if weights else DEFAULT_GRAPH)
    if not model.is_file():
        raise ModelError(f"{model}: no such file")
    module, _, name = backend.target.partition(":")
    make = cast(Callable[..., Engine], getattr(importlib.import_module(f".{module}", __package__), name))
    device = {"device": "cuda"} if choice.name == "torch-cuda" else {}
    opened = make(model, threads=threads, **device)
    if weights and opened.info.weights_sha256 not in ("", sha256(weights)):
        opened.close()
        raise ModelError(f"{model}: was made from other weights than {weights}", mend=f"delete it, or: {_REMAKE}")
    return opened


def graph_of(weights: Path) -> Path:
    """The graph of native weights: beside them, or exported once into the cache, which takes PyTorch and seconds.

    Raises:
        ModelError: not native weights; no graph is there and PyTorch is not installed.
    """
    read_header(weights)
    beside = weights.with_suffix(".onnx")
    if beside.is_file():
        return beside
    cached = cache_folder() / f"{sha256(weights)[:32]}.onnx"
    if not cached.is_file():
        _export(weights, cached)
    return cached


def _flavour(plan: Path) -> str:
    """What built a plan, as its sidecar says; TensorRT where there is none to ask."""
    from .plan import read_sidecar, sidecar_of

    if not sidecar_of(plan).exists():
        return "torch-tensorrt" if plan.suffix == ".pt2" else "tensorrt"
    flavour = read_sidecar(plan).flavour
    if flavour not in BACKENDS or BACKENDS[flavour].reads != "plan":
        raise ModelError(f"{sidecar_of(plan)}: unknown flavour {flavour!r}", mend="build it anew: lgnet build-engine")
    return flavour


def _open_plan(name: str, plan: Path, trust: bool) -> Engine:
    """A plan on this machine's GPU, whoever built it; its sidecar must agree with `name`."""
    from .machine import this_machine
    from .plan import sidecar_of
    from .tensorrt import open_plan

    if not plan.is_file():
        raise ModelError(f"{plan}: no such file", mend=f"make it with: lgnet build-engine -o {plan}")
    if sidecar_of(plan).exists() and _flavour(plan) != name:
        raise UsageError(f"{plan}: built by {_flavour(plan)}, not by {name}", mend="leave --backend out")
    if name == "torch-tensorrt":
        if not _installed(BACKENDS[name].needs):
            raise MissingBackend(
                f"{plan}: built by {name}, which is not installed here",
                mend=f"install it with: {BACKENDS[name].install}",
            )
        from .torch_tensorrt import TorchTensorRtEngine, load_torch_tensorrt

        return TorchTensorRtEngine(plan, this_machine(), load_torch_tensorrt(), trust=trust)
    return open_plan(plan, this_machine(), trust=trust, flavour=name, cache=cache_folder())


def _built_once(name: str, weights: Path | None) -> Path:
    """The plan of `weights` for this GPU: out of the cache, or built into it, which takes PyTorch and minutes."""
    from .cache import built_once
    from .machine import this_machine

    if not (_installed("torch") and _installed("onnxscript")):
        raise MissingBackend(
            f"--backend {name} builds an engine from weights, which takes PyTorch",
            mend="install it with: pip install 'lgnet[torch]'  (or build elsewhere, and give it with --engine)",
        )
    return built_once(name, weights or DEFAULT_WEIGHTS, cache_folder(), this_machine())


def cuda_devices() -> int:
    """How many CUDA devices the driver shows, asked without loading PyTorch; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    ready = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if ready else 0


def cuda_version() -> str:
    """The newest CUDA that the driver serves, such as "13.0"; "0.0" without a driver."""
    version = ctypes.c_int(0)
    with suppress(OSError):
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def cuda_of_torch(found: ModuleSpec | None = None) -> str | None:
    """The CUDA that the installed PyTorch is for, as its version.py says, "" for none; None without PyTorch.

    Read and not imported: importing PyTorch takes seconds, which a batch that does not use it need not wait.
    """
    found = found or importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return None
    said = Path(found.submodule_search_locations[0], "version.py")
    match = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", said.read_text(), re.MULTILINE) if said.is_file() else None
    return match[1] if match else ""


def _export(weights: Path, graph: Path) -> None:
    if not (_installed("torch") and _installed("onnxscript")):
        raise MissingBackend(
            f"{weights}: has no graph {weights.with_suffix('.onnx').name} beside it, and making one takes PyTorch",
            mend="install it with: pip install 'lgnet[torch]'  (or make the graph elsewhere: lgnet weights export)",
        )
    from lgnet_cli.model import load

    from .export import export_onnx

    export_onnx(load(weights), graph, weights_sha256=sha256(weights))


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
