"""How a first run on somebody's machine fails: with the cause and the command that mends it, before a build."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine
from rich.console import Console

from lgnet_cli.engines.build_job import BuildJob, chosen, run_build
from lgnet_cli.engines.cache import built_once
from lgnet_cli.engines.doctor import inventory
from lgnet_cli.engines.libraries import CAPABILITIES, cuda_of
from lgnet_cli.engines.machine import Gpu, Machine
from lgnet_cli.engines.nvidia.check import gpu_check
from lgnet_cli.errors import ExitCode, MissingBackend
from lgnet_cli.weights import DEFAULT_WEIGHTS

H200 = Gpu("NVIDIA H200", "9.0", "13.0", 139 << 30)


@pytest.fixture
def trt() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=400)


def old_driver(trt: FakeTensorRT) -> Machine:
    return replace(fake_machine(trt), gpu=Gpu("Fake GPU", "8.9", "12.8", 24 << 30))


def test_a_tensorrt_that_cannot_start_says_why_before_the_graph_is_made(trt: FakeTensorRT, console: Console) -> None:
    """Its constructor gives null, which pybind11 makes a TypeError without a cause."""
    trt.fails.add("Builder")
    with pytest.raises(
        MissingBackend, match=r"cannot start: CUDA initialization failure with error: 35\n(.|\n)*smi"
    ) as error:
        run_build(BuildJob(), fake_machine(trt), console)
    assert error.value.exit_code == ExitCode.MODEL_UNUSABLE
    assert "graph: " not in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("backend", ["tensorrt", "torch-tensorrt"])
def test_a_driver_too_old_for_the_package_is_named_before_a_build(
    backend: str, trt: FakeTensorRT, console: Console, tmp_path: Path
) -> None:
    with pytest.raises(MissingBackend, match=r"is for CUDA 13, and the driver serves CUDA 12\.8(.|\n)*newer driver"):
        run_build(BuildJob(backend=backend), old_driver(trt), console)
    assert trt.config is None
    with pytest.raises(MissingBackend, match=r"CUDA 12\.8"):
        gpu_check(old_driver(trt), None, backend, tmp_path / "r.json", console)
    assert trt.config is None


def test_the_inventory_and_the_cache_name_it_too(trt: FakeTensorRT, tmp_path: Path) -> None:
    (part,) = [part for part in inventory(old_driver(trt)) if part.name == "tensorrt"]
    assert part.found == ""
    assert "pip install tensorrt-cu12" in part.mend
    assert "the driver serves CUDA 12.8" in part.mend
    with pytest.raises(MissingBackend, match=r"serves CUDA 12\.8"):
        built_once("tensorrt", DEFAULT_WEIGHTS, tmp_path, old_driver(trt))
    assert trt.config is None


def test_what_cuda_a_package_is_for_is_in_its_name() -> None:
    assert cuda_of("tensorrt-rtx") == 13  # tensorrt-rtx-cu13-bindings, which the tests' environment has
    assert cuda_of("torch-tensorrt") == 0


def test_a_gpu_that_tensorrt_rtx_does_not_build_for_is_named(
    trt: FakeTensorRT, console: Console, tmp_path: Path
) -> None:
    """H100 and H200, without TensorRT itself: until now a plan for other GPUs was built, with exit code 0."""
    machine = replace(fake_machine(trt, missing=("tensorrt", "torch-tensorrt")), gpu=H200)
    assert chosen(None, machine)[0] == "tensorrt-rtx"
    words = r"does not build for this machine's GPU \(NVIDIA H200, compute capability 9\.0\)(.|\n)*lgnet\[tensorrt\]"
    with pytest.raises(MissingBackend, match=words):
        run_build(BuildJob(), machine, console)
    with pytest.raises(MissingBackend, match=words):
        gpu_check(machine, None, None, tmp_path / "r.json", console)
    with pytest.raises(MissingBackend, match=words):
        built_once("tensorrt-rtx", DEFAULT_WEIGHTS, tmp_path, machine)
    assert trt.config is None


def test_for_other_gpus_it_builds_there_where_they_are_named(
    trt: FakeTensorRT, console: Console, tmp_path: Path
) -> None:
    machine = replace(fake_machine(trt, missing=("tensorrt",)), gpu=H200)
    job = BuildJob(precision="fp32", out=tmp_path / "t.plan", capabilities="80,89", verify=False)
    assert run_build(job, machine, console).is_file()
    assert set(CAPABILITIES) >= {"80", "89"}


def test_what_runs_plans_is_missed_before_one_is_built(trt: FakeTensorRT, tmp_path: Path) -> None:
    with pytest.raises(MissingBackend, match="no NVIDIA driver"):
        built_once("tensorrt", DEFAULT_WEIGHTS, tmp_path, fake_machine(trt, missing=("driver",)))
    assert trt.config is None
    assert list(tmp_path.iterdir()) == []


def test_a_tensorrt_that_is_broken_is_an_error_of_the_command_and_no_bug_of_its_own(tmp_path: Path) -> None:
    """A module that the real command imports as `tensorrt`, on a machine that shows a GPU: by a fake libcuda."""
    (tmp_path / "cuda.c").write_text(LIBCUDA)
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "cuda.c"], check=True)
    (tmp_path / "tensorrt.py").write_text(TENSORRT)
    command = [Path(sys.executable).with_name("lgnet"), "build-engine", "-o", tmp_path / "x.plan"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == ExitCode.MODEL_UNUSABLE, done.stderr
    assert "TensorRT 11.4.0 cannot start: CUDA initialization failure with error: 35" in done.stderr
    assert "please report" not in done.stderr
    assert not (tmp_path / "x.plan").exists()


def test_a_pycuda_that_does_not_load_is_not_called_installed(tmp_path: Path) -> None:
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    (tmp_path / "pycuda" / "driver.py").write_text("raise ImportError('undefined symbol: cuCtxCreate_v4')\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lgnet"), "doctor"], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "it is installed and does not load: undefined symbol: cuCtxCreate_v4" in done.stdout
    assert "lgnet's own calls of the driver do without it" in done.stdout


LIBCUDA = """
#include <string.h>
#include <stddef.h>
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Stub GPU", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)24 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : 9; return 0; }
"""
TENSORRT = """
import enum
__version__ = "11.4.0"
class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
class Builder:
    def __init__(self, log):
        log.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")
"""
