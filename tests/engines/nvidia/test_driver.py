"""The real calls of NVIDIA's driver, by ctypes or, if it is installed, by pycuda, on a libcuda.so.1 without a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lgnet_cli.engines.libraries import installed

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake libcuda.so.1."""
    folder = tmp_path_factory.mktemp("libcuda")
    command = ["gcc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", HERE / "fake_libcuda.c"]
    subprocess.run(command, check=True)
    return folder


def run(library: Path, case: str) -> str:
    done = subprocess.run(
        [sys.executable, HERE / "on_libcuda.py", case],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "could not be cleaned up" not in done.stderr  # pycuda's words about what was freed without its context
    return done.stdout


@pytest.mark.parametrize(
    "case", ["open_and_close", "two_at_once", "on_other_threads", "after_failures_in_every_call", "measured"]
)
def test_contexts_and_memory_are_balanced(library: Path, case: str) -> None:
    """No context is left on any thread, and nothing is left on the device, whatever happened."""
    assert run(library, case).endswith("at the end: 0 0 0\n")


def test_what_nobody_closes_is_given_back_when_the_process_ends(library: Path) -> None:
    assert run(library, "an_engine_that_nobody_closes") == "at the end: 0 0 0\n"


def test_a_context_that_died_is_told_from_a_batch_that_failed(library: Path) -> None:
    assert run(library, "a_dead_context") == "at the end: 0 0 0\n"


def test_without_pycuda_the_driver_is_called_directly(library: Path) -> None:
    assert run(library, "driver_of_the_process").startswith("pycuda" if installed("pycuda") else "lgnet's own")
