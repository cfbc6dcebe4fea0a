"""Half precision without a GPU: real half arithmetic by PyTorch on the CPU, and Polygraphy on the graphs.

ONNX Runtime may compute half in float32 on a CPU and would hide an overflow; PyTorch does not.
"""

import copy
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from lgnet_cli.engines.export import EightBit, fold_batchnorm
from lgnet_cli.engines.nvidia.attention import WIDEST_HEAD, HalfAttention, half_inputs, halve_attention
from lgnet_cli.engines.verify import compare
from lgnet_cli.model import LGNet, load
from lgnet_cli.model.layers import Attention
from lgnet_cli.weights import DEFAULT_WEIGHTS

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LEAST = 50.0  # dB over the holes; measured 59 to 63 on the examples, where a difference of 1 everywhere is 48


def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    """All photos of examples/ and their masks, made 256 x 256."""
    found = []
    for path in sorted((EXAMPLES / "images").iterdir()):
        photo = cv2.imread(str(path))[:, :, ::-1]
        mask = cv2.imread(str(EXAMPLES / "masks" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(mask, (256, 256), interpolation=cv2.INTER_NEAREST)
        found.append((cv2.resize(photo, (256, 256), interpolation=cv2.INTER_AREA), small))
    return found


def adversarial() -> list[tuple[np.ndarray, np.ndarray]]:
    """All-black, all-white, constant, noise, and a photo with 99 % of it missing."""
    rng = np.random.default_rng(0)
    square = np.zeros((256, 256), np.uint8)
    square[64:192, 64:192] = 255
    nearly_all = np.full((256, 256), 255, np.uint8)
    nearly_all[:26, :25] = 0
    flat = [np.full((256, 256, 3), value, np.uint8) for value in (0, 255, 128)]
    noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return [*((image, square) for image in [*flat, noise]), (examples()[0][0], nearly_all)]


def note_what_is_not_finite(seen: list[str], name: str, module: object, inputs: object, output: object) -> None:
    """After every layer: tanh and 8 bits at the end would hide an infinity."""
    for tensor in output if isinstance(output, tuple) else (output,):
        if isinstance(tensor, torch.Tensor) and not (tensor.dtype == torch.float16 and torch.isfinite(tensor).all()):
            seen.append(f"{name}: {tensor.dtype}")


@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_half_arithmetic_is_close_and_finite(*, fused: bool) -> None:
    pairs = [*examples(), *adversarial()]
    images, masks = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    assert (masks[-1] > 0).mean() == pytest.approx(0.99, abs=0.001)
    full = fold_batchnorm(load(DEFAULT_WEIGHTS))
    half = copy.deepcopy(full).half()
    if fused:
        halve_attention(half)
    seen: list[str] = []
    for name, module in half.named_modules():
        module.register_forward_hook(partial(note_what_is_not_finite, seen, name))
    with torch.inference_mode():
        tensors = torch.from_numpy(images), torch.from_numpy(masks)
        theirs = EightBit(full).eval()(*tensors).numpy()
        network = EightBit(half).eval().to(memory_format=torch.channels_last)  # twice as fast as it is otherwise
        ours = network(*tensors).numpy()
    assert seen == []
    for i in range(len(pairs)):
        verdict = compare(ours[i : i + 1], theirs[i : i + 1], images[i : i + 1], masks[i : i + 1])
        assert verdict.psnr >= LEAST, f"image {i}: {verdict}"
        assert verdict.good, f"image {i}: {verdict}"


@pytest.mark.parametrize("channels", [64, WIDEST_HEAD, 2 * WIDEST_HEAD])
@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 168.0, 6e4])
def test_attention_in_half_survives_features_that_break_half(scale: float, channels: int, *, fused: bool) -> None:
    """Zero vectors, whose 1e-7 half rounds away, and sums of squares beyond 65504: float32 holds them."""
    generator = torch.Generator().manual_seed(0)
    features = (torch.randn(1, channels, 16, 16, generator=generator).clamp(-1, 1) * scale).half()
    attention = Attention(channels).half()
    layer = HalfAttention(attention) if fused else attention
    with torch.inference_mode():
        attention.combine.weight.fill_(1 / 16 / channels)  # small enough that the sum after it stays in half's range
        out = layer(features)
    assert out.dtype == torch.float16
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 30.0])
def test_attention_in_half_is_rounded_and_otherwise_the_same(scale: float) -> None:
    """Beyond 30 the largest score of a query is all that counts, and which it is depends on its rounding."""
    features = torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(1)).clamp(-1, 1) * scale
    torch.manual_seed(0)
    attention = Attention(64)
    with torch.inference_mode():
        attention.combine.weight[:, 64:] = 0  # what is attended to, alone
        exact, rounded = attention(features), HalfAttention(attention)(features)
    assert (rounded - exact).norm() / exact.norm() < 0.01  # measured: 0.00003, 0.0005, 0.006


@pytest.mark.parametrize("channels", [32, WIDEST_HEAD, 2 * WIDEST_HEAD])
def test_a_score_stays_in_half_also_where_a_builder_stores_it(channels: int) -> None:
    """As products alone, for builders that know no operator for attention, the scores themselves are halves."""
    query, key = half_inputs(torch.full((1, channels, 16, 16), 6e4))  # the largest score that features can give
    scores = (query.float() @ key.float().transpose(-1, -2)).half()
    assert torch.isfinite(scores).all()
    assert scores.max() > 59_000


def test_normalising_in_float_is_needed_and_is_in_the_graph(half_graph: Path) -> None:
    features = torch.zeros(1, 64, 16, 16).half()
    key = features + 1e-7
    unit = key / (key * key).sum(dim=1, keepdim=True).sqrt()
    assert not torch.isfinite(unit).any()  # what would happen without it
    graph = onnx.shape_inference.infer_shapes(onnx.load(half_graph)).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    for node in graph.node:
        if node.op_type in ("ReduceSum", "Sqrt"):
            assert kinds[node.output[0]] == onnx.TensorProto.FLOAT, node.name
        if node.op_type in ("Conv", "ConvTranspose"):
            assert kinds[node.output[0]] == onnx.TensorProto.FLOAT16, node.name
        if node.op_type == "Attention":
            assert kinds[node.output[0]] == onnx.TensorProto.FLOAT16
            assert len(node.output) == 1  # the score map is not asked for
    operators = [node.op_type for node in graph.node]
    assert (operators.count("Attention"), operators.count("Softmax"), operators.count("MatMul")) == (3, 0, 0)


def test_eight_bits_are_cast_first_and_last(half_graph: Path) -> None:
    """TensorRT takes UINT8 at the border alone: whatever reads an input or writes the output is a Cast."""
    graph = onnx.load(half_graph).graph
    borders = {v.name for v in [*graph.input, *graph.output]}
    touching = {n.op_type for n in graph.node if borders & {*n.input, *n.output}}
    assert touching - {"Shape"} == {"Cast"}


def polygraphy(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("polygraphy"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("graph", ["half_graph", "full_graph"])
def test_polygraphy_finds_nothing_in_the_graphs(graph: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = request.getfixturevalue(graph)
    shapes = ["--input-shapes", "image:[1,256,256,3]", "mask:[1,256,256]"]
    lint = polygraphy("check", "lint", path, *shapes, "-o", tmp_path / "lint.json")
    assert lint.returncode == 0, lint.stdout + lint.stderr
    entries = json.loads((tmp_path / "lint.json").read_text())["lint_entries"]
    assert [entry for entry in entries if entry["level"] == "exception"] == []
    # every tensor in between too: 8 bits at the end cannot show NaN or infinity
    run = polygraphy("run", path, "--onnxrt", "--validate", "--onnx-outputs", "mark", "all", *shapes)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("is valid") > 190


def test_polygraphy_would_find_mixed_types(half_graph: Path, tmp_path: Path) -> None:
    model = onnx.load(half_graph)
    weight = next(i for i in model.graph.initializer if len(i.dims) == 4)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).astype(np.float32), weight.name))
    onnx.save(model, tmp_path / "mixed.onnx")
    shapes = ["--input-shapes", "image:[1,256,256,3]", "mask:[1,256,256]"]
    assert polygraphy("check", "lint", tmp_path / "mixed.onnx", *shapes).returncode == 1


def test_every_width_has_the_same_share_of_half() -> None:
    """EXPECTED_HALF_SHARE is one number for all widths: the layers are the same."""
    layers = [[type(m) for m in LGNet(width).modules()] for width in (2, 16)]
    assert layers[0] == layers[1]
