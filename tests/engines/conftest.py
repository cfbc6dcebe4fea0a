"""Graphs for GPUs of the model that ships, made once for all tests by the real command: each export takes a while."""

import subprocess
import sys
from pathlib import Path

import pytest


def built_graph(folder: Path, precision: str, size: str) -> Path:
    path = folder / f"w16-{precision}.onnx"
    command = [Path(sys.executable).with_name("lgnet"), "build-engine", f"--{precision}", "--backend", "onnx"]
    done = subprocess.run([*command, "--size", size, "-o", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "against the FP32 PyTorch model: 16 crops of the example photos" in done.stderr
    assert "no NaN, known pixels exact" in done.stderr
    assert done.stdout == f"{path}\n"
    return path


@pytest.fixture(scope="session")
def half_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half precision, any multiples of 256."""
    return built_graph(tmp_path_factory.mktemp("graph"), "fp16", "256..512")


@pytest.fixture(scope="session")
def full_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Float32, 256 x 256."""
    return built_graph(tmp_path_factory.mktemp("graph"), "fp32", "256")
