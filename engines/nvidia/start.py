"""TensorRT's two entry points, and a plan through the second. Every refusal in words: its own TypeError has none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lgnet_cli.engines import tensorrt_api as api
from lgnet_cli.engines.libraries import TENSORRT_RTX, TensorRT
from lgnet_cli.engines.tensorrt_log import NOTHING, log_of
from lgnet_cli.errors import MissingBackend, ModelError
from lgnet_cli.spec import FILLED, IMAGE, MASK

from .lane import MAIN
from .profile import Profile
from .rtx import check_valid

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


def deserialised(plan: Path, data: bytes, trt: TensorRT, flavour: str) -> tuple[api.ICudaEngine, str]:
    """The plan's engine, and what is said against it though it loads.

    Code of the plan's own stays forbidden: `engine_host_code_allowed` is never set.
    """
    log = log_of(trt)
    log.words.clear()
    runtime = new_runtime(trt, log)
    beware = check_valid(plan, data, trt, runtime) if flavour == TENSORRT_RTX else ""
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise ModelError(
            f"{plan}: TensorRT {trt.__version__} refuses it: {log.words.last()}",
            mend=f"build it anew on this machine: lgnet build-engine WEIGHTS -o {plan}",
        )
    said = [] if log.words.last() == NOTHING else [f"TensorRT said while loading it: {log.words.last()}"]
    return engine, "; ".join(filter(None, [beware, *said]))


def profile_of(plan: Path, engine: api.ICudaEngine, trt: TensorRT) -> Profile:
    """What the engine itself says it takes. Raises ModelError where it is not between 8-bit images."""
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    inputs = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
    eight_bit = all(engine.get_tensor_dtype(name) == trt.DataType.UINT8 for name in names)
    if (names, inputs) != ({IMAGE, MASK, FILLED}, {IMAGE, MASK}) or not eight_bit:
        raise ModelError(f"{plan}: a plan, but not one of lgnet's", mend="make one with: lgnet build-engine")
    least, best, most = (tuple(shape) for shape in engine.get_tensor_profile_shape(IMAGE, MAIN))
    return Profile((least[0], best[0], most[0]), (least[1], best[1], most[1]))
