"""The exported graph computes what the module computes, in 8 bits at both ends."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_cli.engines.export import EightBit, export_onnx, fold_batchnorm, ship
from lgnet_cli.engines.onnxruntime import OnnxRuntimeEngine
from lgnet_cli.errors import UsageError
from lgnet_cli.model import LGNet, load, load_published
from lgnet_cli.weights.header import read_header, sha256

FIXTURE = Path(__file__).parent.parent / "fixtures" / "official_w8_256"


@pytest.fixture(scope="module")
def model() -> LGNet:
    """Upstream's trio at width 8: BatchNorm statistics and all weights random, so that a wrong fold shows."""
    return load_published(FIXTURE)


@pytest.fixture(scope="module")
def exported(official_graph: Path) -> Path:
    return official_graph


def pair(count: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    mask = np.repeat(np.repeat(rng.random((count, height // 16, width // 16)) > 0.6, 16, 1), 16, 2)
    return image, mask.astype(np.uint8) * 255


def torch_fill(model: LGNet, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return EightBit(model)(torch.from_numpy(image), torch.from_numpy(mask)).numpy()


def off(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_folding_changes_nothing_but_rounding(model: LGNet) -> None:
    folded = fold_batchnorm(model)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = (x[:, :1] > 0).float()
    with torch.inference_mode():
        ours, theirs = folded(x, mask), model(x, mask)
    assert (ours.global_ - theirs.global_).abs().max() < 1e-4  # float32; 1/255 of the range is 8e-3
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())  # the original is untouched


@pytest.mark.parametrize(("count", "height", "width"), [(1, 256, 256), (3, 256, 256), (1, 512, 256), (1, 256, 768)])
def test_graph_is_the_module_at_any_batch_and_size(
    model: LGNet, exported: Path, count: int, height: int, width: int
) -> None:
    image, mask = pair(count, height, width)
    engine = OnnxRuntimeEngine(exported)
    filled = engine.fill(image, mask)
    assert off(filled, torch_fill(model, image, mask)) <= 1  # a value next to x.5 may round either way
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])


@settings(max_examples=10, deadline=None)
@given(value=st.integers(128, 255), seed=st.integers(0, 9))
def test_from_128_on_a_mask_value_is_a_hole_and_known_pixels_are_exact(exported: Path, value: int, seed: int) -> None:
    image, mask = pair(1, 256, 256, seed)
    session = onnxruntime.InferenceSession(exported)
    full = session.run(None, {"image": image, "mask": mask})[0]
    other = session.run(None, {"image": image, "mask": (mask > 0).astype(np.uint8) * value})[0]
    np.testing.assert_array_equal(full, other)
    np.testing.assert_array_equal(full[mask == 0], image[mask == 0])


@settings(max_examples=6, deadline=None)
@given(value=st.integers(1, 127), seed=st.integers(0, 9))
def test_up_to_127_a_pixel_is_known_but_drawn(model: LGNet, exported: Path, value: int, seed: int) -> None:
    image, mask = pair(1, 256, 256, seed)
    marked = np.where(mask > 0, mask, np.uint8(0))
    marked[:, ::2][mask[:, ::2] == 0] = value
    session = onnxruntime.InferenceSession(exported)
    plain, drawn = (session.run(None, {"image": image, "mask": m})[0] for m in (mask, marked))
    np.testing.assert_array_equal(drawn[mask > 0], plain[mask > 0])  # the network saw the same
    np.testing.assert_array_equal(drawn[marked == 0], image[marked == 0])
    assert off(drawn, torch_fill(model, image, marked)) <= 1  # a value next to x.5 may round either way
    known_drawn = (marked > 0) & (mask == 0)
    assert (drawn[known_drawn] != image[known_drawn]).any()


def test_graph_has_no_batchnorm_no_stored_whole_scores_and_no_paths(exported: Path) -> None:
    graph = onnx.load(exported)
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert sum(node.op_type == "Softmax" for node in graph.graph.node) == 3 * 16
    assert graph.SerializeToString().count(b"site-packages") == 0
    onnx.checker.check_model(graph, full_check=True)


def test_half_graph_agrees_and_keeps_attention_in_float(model: LGNet, tmp_path: Path) -> None:
    export_onnx(model, tmp_path / "half.onnx", precision="fp16", size=256, slices=1)
    graph = onnx.load(tmp_path / "half.onnx")
    types = {i.name: i.data_type for i in graph.graph.initializer if i.name.endswith(".weight")}
    assert set(types.values()) == {onnx.TensorProto.FLOAT16}
    elements = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(graph).graph.value_info}
    softmaxes = [node for node in graph.graph.node if node.op_type == "Softmax"]
    assert [elements[node.output[0]] for node in softmaxes] == [onnx.TensorProto.FLOAT] * 3
    image, mask = pair(1, 256, 256)
    engine = OnnxRuntimeEngine(tmp_path / "half.onnx")
    assert engine.info.precision == "fp16"
    assert engine.info.sizes == "256"
    filled = engine.fill(image, mask)
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    # random weights magnify half's rounding; over the holes it must stay a rounding, not a breakdown
    assert np.abs(filled.astype(int) - torch_fill(model, image, mask))[mask > 0].mean() < 1.0


@pytest.mark.parametrize("size", [0, 255, 128, 300])
def test_impossible_sizes_are_refused(model: LGNet, tmp_path: Path, size: int) -> None:
    with pytest.raises(UsageError, match="multiple of 256"):
        export_onnx(model, tmp_path / "m.onnx", size=size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_shipped_pair_is_one_set_of_numbers(model: LGNet, tmp_path: Path) -> None:
    ship(model, tmp_path, "m", {"data": "random"})
    weights, graph = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    assert graph.stat().st_size < weights.stat().st_size / 5
    assert read_header(weights).provenance == {"data": "random"}
    engine = OnnxRuntimeEngine(graph)
    assert engine.info.weights_sha256 == sha256(weights)
    image, mask = pair(2, 256, 256)
    assert off(engine.fill(image, mask), torch_fill(load(weights), image, mask)) <= 1
