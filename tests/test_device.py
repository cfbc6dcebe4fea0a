"""`--device N`, as CUDA sees it."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

SHOWN = """
import os, sys
from lgnet_cli.device import use_device
use_device(int(sys.argv[1]) if len(sys.argv) > 1 else None)
print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER"))
"""


@pytest.mark.parametrize(
    ("number", "before", "after"),
    [
        (None, {}, "None None"),
        (1, {}, "1 PCI_BUS_ID"),
        (1, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, "1 FASTEST_FIRST"),
        (1, {"CUDA_VISIBLE_DEVICES": "4, 6"}, "6 None"),
        (0, {"CUDA_VISIBLE_DEVICES": "GPU-5f1c,GPU-77aa"}, "GPU-5f1c None"),
    ],
)
def test_cuda_is_shown_that_gpu_alone(number: int | None, before: dict[str, str], after: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
    command = [sys.executable, "-c", SHOWN, *([] if number is None else [str(number)])]
    done = subprocess.run(command, env=kept | before, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == after


def test_a_gpu_that_is_not_shown_is_a_usage_error(lgnet: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    for command in (["inpaint", "a", "b", "-o", "c"], ["build-engine"], ["doctor"]):
        done = lgnet(*command, "--device", 2, env=os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"})
        assert done.returncode == 2, done.stderr
        assert "--device 2: CUDA_VISIBLE_DEVICES=0,1 shows 2 of this machine's GPUs" in done.stderr
