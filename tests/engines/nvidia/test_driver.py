"""The real calls of NVIDIA's driver, by ctypes or, if it is installed, by pycuda, on a libcuda.so.1 without a GPU."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lgnet_cli.engines.libraries import installed

HERE = Path(__file__).parent
BALANCED = (
    r"at the end: [01] [01] 0\n$"  # as the process ends pycuda leaves its context current, or, retained elsewhere, be
    if installed("pycuda")
    else r"at the end: 0 0 0\n$"
)
"""Contexts current on the main thread, retentions of the primary context, streams and memory."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake libcuda.so.1."""
    folder = tmp_path_factory.mktemp("libcuda")
    source = (HERE / "fake_libcuda.c").read_text()
    ours = set(re.findall(r"^int (cu\w+)\(", source, re.MULTILINE))
    (folder / "all.c").write_text(
        source + "".join(f"int {name}(void) {{ return 801; }}\n" for name in pycudas() - ours)
    )
    target = folder / "libcuda.so.1"
    flags = ["-w", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]
    subprocess.run(["gcc", *flags, "-o", target, folder / "all.c"], check=True)
    (folder / "libcuda.so").symlink_to(target.name)  # as a pycuda asks for that was linked to a library of no name
    return folder


def pycudas() -> set[str]:
    """What pycuda, where it is installed, must find in the library to be imported at all."""
    found = importlib.util.find_spec("pycuda")
    if found is None or not found.submodule_search_locations:
        return set()
    (module,) = Path(found.submodule_search_locations[0]).glob("_driver*.so")
    listed = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True)
    return set(re.findall(r" U (cu[A-Z]\w*)", listed.stdout))


def run(library: Path, case: str) -> str:
    done = subprocess.run(
        [sys.executable, HERE / "on_libcuda.py", case],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "could not be cleaned up" not in done.stderr  # pycuda's words about what was freed without its context
    return done.stdout


@pytest.mark.parametrize(
    "case",
    ["open_and_close", "two_at_once", "on_other_threads", "after_failures_in_every_call", "measured", "captured"],
)
def test_contexts_and_memory_are_balanced(library: Path, case: str) -> None:
    """No context is left on any thread, and nothing is left on the device, whatever happened."""
    assert re.search(BALANCED, run(library, case))


def test_what_nobody_closes_is_given_back_when_the_process_ends(library: Path) -> None:
    assert re.match(BALANCED, run(library, "an_engine_that_nobody_closes"))


def test_a_context_that_died_is_told_from_a_batch_that_failed(library: Path) -> None:
    assert re.match(BALANCED, run(library, "a_dead_context"))


def test_without_pycuda_the_driver_is_called_directly(library: Path) -> None:
    assert run(library, "driver_of_the_process").startswith("pycuda" if installed("pycuda") else "lgnet's own")
