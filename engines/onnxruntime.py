"""ONNX Runtime: the default on a CPU, and all that a base install needs."""

import os
from pathlib import Path

import numpy as np

from lgnet_cli.errors import EngineError, ModelError
from lgnet_cli.spec import DEFAULT_SIZE, FILLED, IMAGE, MASK
from lgnet_cli.telemetry import switched_off

from .protocol import EngineInfo, Pixels, least_side

with switched_off():
    import onnxruntime

MAX_PIXELS = 1536 * 1024
"""Of one call: attention's scores grow with the square of the pixels, and take 2.3 GiB a slice at this size."""


class OnnxRuntimeEngine:
    """An exported graph on the CPU. Safe to call from several threads, though one call at a time uses all cores."""

    def __init__(self, graph: Path, *, threads: int | None = None) -> None:
        """Load `graph`; `threads` defaults to the CPUs this process may use. Raises ModelError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.log_severity_level = 3  # errors come back as exceptions; warnings are of its own optimiser
        # Attention's far positions weigh less than float32's smallest normal number, and a CPU computes with those many
        # times slower: with zero instead, a photo takes two thirds of the time and comes out the same.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class of their own
            raise ModelError(f"{graph}: ONNX Runtime cannot load it: {_first_line(error)}") from error
        if {i.name for i in self._session.get_inputs()} != {IMAGE, MASK}:
            raise ModelError(f"{graph}: a graph, but not one of lgnet's", mend="make one with: lgnet weights export")
        described = self._session.get_modelmeta().custom_metadata_map
        sizes = described.get("lgnet.size", str(DEFAULT_SIZE))
        self.info = EngineInfo(
            backend="onnxruntime",
            device=f"CPU, {options.intra_op_num_threads} threads",
            precision=described.get("lgnet.precision", "fp32"),
            sizes=sizes,
            max_pixels=MAX_PIXELS,
            weights_sha256=described.get("lgnet.weights_sha256", ""),
            side=least_side(sizes),
        )

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        try:
            (filled,) = self._session.run([FILLED], {IMAGE: image, MASK: mask})
        except Exception as error:  # as above
            raise EngineError(f"ONNX Runtime failed: {_first_line(error)}") from error
        return np.asarray(filled)

    def close(self) -> None:
        self.__dict__.pop("_session", None)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
