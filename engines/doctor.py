"""`lgnet doctor`: what this machine has, what is missing, and the command that installs it."""

import importlib
import importlib.metadata
import importlib.util
import platform
from dataclasses import dataclass

from rich.console import Console

from lgnet_cli.errors import MissingBackend

from .libraries import INSTALL, PYCUDA, TENSORRT, TENSORRT_RTX, TORCH_TENSORRT
from .machine import Machine
from .nvidia.versions import known_bad


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
        _pycuda(),
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


def _loaded(machine: Machine, flavour: str) -> Part:
    """Loaded for good, since an installed package may lack its libraries."""
    try:
        version = machine.tensorrt(flavour).__version__
        machine.check_cuda(flavour)
        return Part(flavour, version, flavour, "")
    except MissingBackend as error:
        return Part(flavour, "", flavour, f"{error.mend} ({error.args[0]})")


def _pycuda() -> Part:
    """Imported, since one that was compiled for another driver is installed and does not load."""
    part = _package(
        "pycuda", PYCUDA, "running plans, which lgnet's own calls of the driver do without it", INSTALL[PYCUDA]
    )
    if part.found:
        try:
            importlib.import_module("pycuda.driver")
        except (ImportError, OSError) as error:
            why = str(error).partition("\n")[0]
            return Part(PYCUDA, "", part.wanted_for, f"it is installed and does not load: {why}")
    return part


def _package(module: str, name: str, wanted_for: str, install: str) -> Part:
    try:
        there = importlib.util.find_spec(module) is not None
        version = importlib.metadata.version(module.replace("_", "-")) if there else ""
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Part(name, version, wanted_for, install)
