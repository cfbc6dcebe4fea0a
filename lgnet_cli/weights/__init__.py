"""The model that ships: its weights, the graph that runs them without PyTorch, and its card (MODEL_CARD.md)."""

from pathlib import Path

DEFAULT_NAME = "lgnet-w16"
DEFAULT_WEIGHTS = Path(__file__).parent / f"{DEFAULT_NAME}.safetensors"
DEFAULT_GRAPH = DEFAULT_WEIGHTS.with_suffix(".onnx")
