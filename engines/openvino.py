"""OpenVINO: for Intel machines, taken when it is named."""

from pathlib import Path

import numpy as np

from lgnet_cli.errors import EngineError, ModelError
from lgnet_cli.spec import DEFAULT_SIZE, FILLED, IMAGE, MASK
from lgnet_cli.telemetry import switched_off

from .protocol import EngineInfo, Pixels, least_side

with switched_off():
    import openvino

MAX_PIXELS = 1024 * 1024
"""Of one call: attention's scores grow with the square of the pixels."""


class OpenVinoEngine:
    """An exported graph on the CPU, in float32 arithmetic also where the CPU has bfloat16. One thread at a time."""

    def __init__(self, graph: Path, *, threads: int | None = None) -> None:
        """Load `graph`; `threads` defaults to all cores. Raises ModelError."""
        settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(graph)
            metadata = model.get_rt_info("framework").astype(dict) if model.has_rt_info("framework") else {}
            self._request = openvino.compile_model(model, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{graph}: OpenVINO cannot load it: {_last_line(error)}") from error
        if {i.get_any_name() for i in model.inputs} != {IMAGE, MASK}:
            raise ModelError(f"{graph}: a graph, but not one of lgnet's", mend="make one with: lgnet weights export")
        described = {key: str(value.value) for key, value in metadata.items()}
        sizes = described.get("lgnet.size", str(DEFAULT_SIZE))
        self.info = EngineInfo(
            backend="openvino",
            device="CPU",
            precision="fp32",
            sizes=sizes,
            max_pixels=MAX_PIXELS,
            weights_sha256=described.get("lgnet.weights_sha256", ""),
            side=least_side(sizes),
        )

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        try:
            results = self._request.infer({IMAGE: image, MASK: mask}, share_inputs=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed: {_last_line(error)}") from error
        return np.array(results[FILLED])

    def close(self) -> None:
        self.__dict__.pop("_request", None)


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
