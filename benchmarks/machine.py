"""The machine that measures: what it is, and how fast it multiplies matrices and copies memory."""

import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from lgnet_cli import __version__

SIDE = 2048
"""Of the square matrices of the peak: large enough that a library reaches what it can."""

COPIED = 1 << 28
"""Bytes copied at once for the memory's rate: more than caches hold."""

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "torch", "tensorrt", "matplotlib")


def describe() -> dict[str, str]:
    """Name and size of this machine, and how busy it is with other work now."""
    usable, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = os.getloadavg()
    busy = "; busy: other work shared these CPUs" if load[0] > usable / 2 else ""
    facts = {
        "processor": f"{_processor()}, {usable} CPUs usable",
        "memory": f"{memory / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load before": " ".join(f"{one:.2f}" for one in load) + f" (1, 5, 15 minutes{busy})",
    }
    return facts | ({"GPU": gpu} if (gpu := _gpu()) else {})


def versions() -> dict[str, str]:
    """Of lgnet, Python, and the libraries that are here."""
    found = {"lgnet": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def matmul_peak(calls: int = 8) -> float:
    """FLOP a second of the best of `calls` float32 products of two 2048 x 2048 matrices, by NumPy on all CPUs."""
    a, b = (np.random.default_rng(seed).random((SIDE, SIDE), dtype=np.float32) for seed in (0, 1))
    out = np.empty_like(a)
    return 2 * SIDE**3 / min(_seconds(lambda: np.matmul(a, b, out=out)) for _ in range(calls))


def copy_rate(calls: int = 8) -> float:
    """Bytes a second, read and written counted, of the best of `calls` copies of 256 MiB, by all CPUs at once."""
    cpus = len(os.sched_getaffinity(0))
    source, target = (np.ones(COPIED // cpus * cpus, np.uint8).reshape(cpus, -1) for _ in range(2))
    with ThreadPoolExecutor(cpus) as pool:
        best = min(_seconds(lambda: list(pool.map(np.copyto, target, source))) for _ in range(calls))
    return 2 * source.nbytes / best


def cuda_matmul_peak(precision: str, calls: int = 20) -> float:
    """As `matmul_peak`, on the first CUDA device through PyTorch, 8192 x 8192, in fp32 (no TF32) or fp16."""
    import torch

    dtype = {"fp32": torch.float32, "fp16": torch.float16}[precision]
    a = torch.rand(4 * SIDE, 4 * SIDE, device="cuda", dtype=dtype)

    def multiply() -> None:
        torch.mm(a, a)
        torch.cuda.synchronize()

    best = min(_seconds(multiply) for _ in range(calls))
    return 2 * (4 * SIDE) ** 3 / best


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return ""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
