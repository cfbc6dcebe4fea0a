"""Runtimes that send usage data do not do so from here: it is switched off before they are imported.

ONNX Runtime (from 1.32) reads an environment variable while it is loaded; without it, it writes a lasting number for
the machine and a database of events, and looks up its maker's server. OpenVINO sends an event while it is imported,
through a package of its own without which it is silent.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ONNX_RUNTIME = "ORT_DISABLE_TELEMETRY"
"""The environment variable; it is set to 1."""

OPENVINO = "openvino_telemetry"
"""The package."""


def switch_off() -> None:
    """For this process and those that it starts. Only for processes that are our own."""
    os.environ[ONNX_RUNTIME] = "1"
    sys.modules.setdefault(OPENVINO, None)  # type: ignore[arg-type]  # Python's way to say that there is none


@contextmanager
def switched_off() -> Iterator[None]:
    """While ONNX Runtime and OpenVINO are imported inside this; afterwards the program around us is as it was."""
    environment, loaded = os.environ.get(ONNX_RUNTIME), OPENVINO in sys.modules
    switch_off()
    try:
        yield
    finally:
        if environment is None:
            del os.environ[ONNX_RUNTIME]
        else:
            os.environ[ONNX_RUNTIME] = environment
        if not loaded:
            del sys.modules[OPENVINO]
