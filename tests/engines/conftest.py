"""Shared by the tests of engines."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A graph like ours but quick: it fills holes with grey, in half."""
    return grey_graph(tmp_path / "tiny.onnx", TensorProto.FLOAT16)


@pytest.fixture
def tiny_full(tmp_path: Path) -> Path:
    """Likewise in float32."""
    return grey_graph(tmp_path / "tiny32.onnx", TensorProto.FLOAT)


def grey_graph(path: Path, kind: int) -> Path:
    numbers = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=kind),
        helper.make_node("Cast", ["mask"], ["holes"], to=kind),
        helper.make_node("Greater", ["holes", "zero"], ["is_hole"]),
        helper.make_node("Unsqueeze", ["is_hole", "last"], ["hole"]),
        helper.make_node("Mul", ["pixels", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "grey"], ["drawn"]),
        helper.make_node("Where", ["hole", "drawn", "pixels"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["filled"], to=TensorProto.UINT8),
    ]
    stored = [
        helper.make_tensor("zero", kind, [1], [0.0]),
        helper.make_tensor("grey", kind, [3], np.array([90, 128, 200], numbers)),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
    ]
    image, filled = (
        helper.make_tensor_value_info(n, TensorProto.UINT8, ["n", "h", "w", 3]) for n in ("image", "filled")
    )
    mask = helper.make_tensor_value_info("mask", TensorProto.UINT8, ["n", "h", "w"])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image, mask], [filled], stored),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
    )  # fmt: skip
    described = {"lgnet.size": "multiples of 256", "lgnet.weights_sha256": "ab" * 32, "lgnet.attention": "fused"}
    helper.set_model_props(model, described)
    onnx.save(model, path)
    return path
