"""TensorRT's two entry points. Where it cannot start, its binding gives a TypeError that says nothing."""

from collections.abc import Callable
from typing import Any, TypeVar

from lgnet_cli.engines import tensorrt_api as api
from lgnet_cli.engines.libraries import TensorRT
from lgnet_cli.errors import MissingBackend

Thing = TypeVar("Thing")


def new_builder(trt: TensorRT, log: Any) -> api.Builder:
    """Raises MissingBackend: the GPU is busy or too full, or the driver too old."""
    return _started(trt, log, lambda: trt.Builder(log))


def new_runtime(trt: TensorRT, log: Any) -> api.Runtime:
    """Raises as `new_builder`."""
    return _started(trt, log, lambda: trt.Runtime(log))


def _started(trt: TensorRT, log: Any, start: Callable[[], Thing]) -> Thing:
    try:
        return start()
    except TypeError as error:  # pybind11's, where what its constructor calls gives null
        raise MissingBackend(
            f"TensorRT {trt.__version__} cannot start: {log.words.last()}",
            mend="check with nvidia-smi that the driver answers and that no other program holds the GPU or its memory; "
            "`lgnet doctor` says what CUDA the driver serves",
        ) from error
