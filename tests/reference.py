"""The reference packages of the metrics, imported over a stand-in for torchvision."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

STANDINS = str(Path(__file__).parent / "standins")


@contextmanager
def imported(package: str) -> Iterator[ModuleType]:
    """`package` (lpips or torch_fidelity); all that it brought is gone from Python afterwards."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"pip install --no-deps {package.replace('_', '-')}")
    kept = dict(sys.modules)
    for name in [n for n in sys.modules if n.split(".")[0] in ("torchvision", package)]:
        del sys.modules[name]
    sys.path.insert(0, STANDINS)
    try:
        yield importlib.import_module(package)
    finally:
        sys.path.remove(STANDINS)
        for name in [n for n in sys.modules if n.split(".")[0] in ("torchvision", package)]:
            del sys.modules[name]
            if name in kept:
                sys.modules[name] = kept[name]
