"""What TensorRT-RTX has over TensorRT at run time: it compiles a plan's kernels for the GPU at hand when it loads it.

Compiled kernels are kept in a file of lgnet's cache folder, so that the next run starts without compiling. Kernels are
compiled for a batch's shape before it is computed, and not beside it: otherwise the first batches would come from other
kernels than those that follow, and than those that were verified.
"""

from contextlib import suppress
from pathlib import Path
from typing import cast

from lgnet_cli.atomic import write_bytes
from lgnet_cli.engines import tensorrt_api as api
from lgnet_cli.engines.libraries import TensorRT
from lgnet_cli.errors import ModelError

MAX_CACHE = 1 << 30
"""Bytes of a file of compiled kernels; more is none of ours."""


class Kernels:
    """How a plan's execution contexts compile their kernels, and where these are kept. The device's context must be
    current in every call."""

    def __init__(self, trt: TensorRT, engine: api.ICudaEngine, kept: Path | None) -> None:
        """Take what `kept` holds, if it is there and of this GPU, driver and TensorRT-RTX; start anew if not."""
        self.config = cast(api.ICudaEngineRtx, engine).create_runtime_config()
        self.config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self.config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._cache, self._kept = self.config.create_runtime_cache(), kept
        self.found = bool(kept and kept.is_file() and self._read(kept))
        self.config.set_runtime_cache(self._cache)

    def keep(self) -> None:
        """Write what was compiled. It saves time alone, so a disk that is full or read-only is no error."""
        if self._kept:
            with suppress(OSError):
                write_bytes(self._kept, memoryview(self._cache.serialize()))

    def _read(self, kept: Path) -> bool:
        """TensorRT-RTX refuses what is not of this environment, and leaves the cache as it is."""
        return kept.stat().st_size <= MAX_CACHE and self._cache.deserialize(kept.read_bytes())


def check_valid(plan: Path, data: bytes, trt: TensorRT, runtime: api.Runtime) -> str:
    """What TensorRT-RTX says against a plan that would run all the same, "" if nothing.

    Raises ModelError where it would not run.
    """
    validity, why = cast(api.RuntimeRtx, runtime).get_engine_validity(data)
    if validity == trt.EngineValidity.INVALID:
        raise ModelError(
            f"{plan}: TensorRT-RTX {trt.__version__} cannot run it on this GPU: {why}",
            mend=f"build it anew on this machine: lgnet build-engine WEIGHTS --backend tensorrt-rtx -o {plan}",
        )
    return f"it may be slower than one built for this GPU: {why}" if validity == trt.EngineValidity.SUBOPTIMAL else ""


def cache_file(folder: Path, plan_sha256: str, gpu: str, version: str) -> Path:
    """Where a plan's compiled kernels are kept."""
    name = "".join(c if c.isalnum() else "-" for c in gpu)
    return folder / f"{plan_sha256[:32]}-{name}-{version}.kernels"
