"""`lgnet build-engine`, `lgnet doctor` and `lgnet inpaint --engine` as they are typed, on this machine."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lgnet_cli.engines.plan import read_sidecar, sidecar_of
from lgnet_cli.engines.select import cuda_devices
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Folders = Callable[..., tuple[Path, Path]]
no_gpu = pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device: `pytest -m gpu` tests it")


@no_gpu
def test_a_plan_is_built_where_there_is_no_gpu_and_refused_there(
    half_graph: Path, lgnet: Command, folders: Folders, tmp_path: Path
) -> None:
    plan = tmp_path / "w16.plan"
    done = lgnet("build-engine", half_graph, "--fp16", "-o", plan, "--batch", "1,2,4", "--sm", "80,89,120")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{plan}\n"
    for words in (
        "ahead of time: no GPU here",
        "188 of 247 floating-point tensors in half (76 %)",
        "3 of them, 18 fused attention kernels in the plan",
        "computed from the graph, not measured",
        "not verified: without its weights",
        "the plan itself has not run",
    ):
        assert words in done.stderr
    sidecar = read_sidecar(plan)
    assert sidecar.compute_capabilities == ["8.0", "8.9", "12.0"]
    assert (sidecar.weights_sha256, sidecar.batch, sidecar.side) == (
        sha256(DEFAULT_WEIGHTS),
        [1, 2, 4],
        [256, 256, 256],
    )
    assert plan.read_bytes()[:1] != b"{"  # pure: what trtexec reads begins with the plan
    images, masks = folders(1)
    arguments = ["inpaint", images, masks, "-o", tmp_path / "out", "--engine", plan]
    refused = lgnet(*arguments)
    assert refused.returncode == 5
    assert "pycuda" in refused.stderr or "driver" in refused.stderr
    named = lgnet(*arguments, "--backend", "onnxruntime")
    assert (named.returncode, "runs no plans" in named.stderr) == (2, True)
    other = lgnet(*arguments, "--backend", "tensorrt")
    assert other.returncode in (2, 5)  # refused by name, or TensorRT is missing; never replaced by TensorRT-RTX
    plan.write_bytes(plan.read_bytes()[:-1])
    assert "cut off" in lgnet(*arguments).stderr
    sidecar_of(plan).unlink()
    lost = lgnet(*arguments, "--backend", "tensorrt-rtx")
    assert (lost.returncode, "--trust-engine" in lost.stderr) == (5, True)


def test_a_graph_of_one_size_is_not_stretched(full_graph: Path, lgnet: Command, tmp_path: Path) -> None:
    done = lgnet(
        "build-engine", full_graph, "--fp32", "--size", "512", "-o", tmp_path / "x.plan", "--backend", "tensorrt-rtx"
    )
    assert (done.returncode, "a graph of size 256, not 512" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


@no_gpu
def test_doctor_says_what_is_here_and_gpu_check_needs_a_gpu(lgnet: Command, tmp_path: Path) -> None:
    done = lgnet("doctor")
    assert done.returncode == 0
    assert "check with nvidia-smi" in done.stdout
    assert "ONNX Runtime" in done.stdout
    report = tmp_path / "report.json"
    checked = lgnet("doctor", "--gpu-check", "-o", report)
    assert (checked.returncode, "there is no GPU here" in checked.stderr) == (5, True)
    assert "no GPU here" in json.loads(report.read_text())["error"]
