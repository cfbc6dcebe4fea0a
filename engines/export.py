"""A trained module as a graph that every back end runs: 8-bit image and mask in, 8-bit filled image out.

The exported module is the trained module: only BatchNorm is folded into the convolutions before it, and for CPUs NetL
is computed around the holes alone. This is the one place that knows the network's value range of [-1, 1]. Needs the
`torch` extra; running what it writes does not.
"""

import copy
import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lgnet_cli.atomic import replacing
from lgnet_cli.errors import UsageError
from lgnet_cli.model import LGNet, load, save
from lgnet_cli.model.layers import Down, Residual, Up
from lgnet_cli.model.lgnet import LocalNet, UNet
from lgnet_cli.spec import DEFAULT_SIZE, FILLED, IMAGE, MASK, SIZE_MULTIPLE
from lgnet_cli.weights.header import read_header, sha256

from .nvidia.attention import halve_attention
from .nvidia.forms import Form
from .windows import around_holes, in_onnx

Precision = Literal["fp32", "fp16"]

OPSET = 18
"""The ONNX operator set: the first whose Split and Pad the graph needs, and old enough for every runtime in use."""

OPSET_OF_ATTENTION = 23
"""The first that has the operator `Attention`. TensorRT parses it since 10.14, ONNX Runtime runs it since 1.23."""

QUERY_HEADS = 2

CPU_SLICES = 16
"""In how many parts attention's queries are computed one after the other. The 4096 x 4096 scores of a 256 x 256 image
are then never there as a whole: less memory, and the parts stay in a CPU's cache. A graph for GPUs has it in one piece:
1."""


AROUND_HOLES = "around the holes"
"""How a graph with windows describes its NetL."""


class EightBit(nn.Module):
    """The network between 8-bit images: what an engine computes.

    `forward(image, mask)`: (N, H, W, 3) uint8 RGB and (N, H, W) uint8 with 128 and above = hole, 1 to 127 = known but
    drawn -> (N, H, W, 3) uint8.
    Computes in the network's own precision. Known pixels do not pass through the network, nor through its scaling:
    they are chosen from the input, whose values 0 to 255 both halves and floats hold exactly.
    """

    def __init__(self, net: LGNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        dtype = next(self.net.parameters()).dtype
        pixels = image.to(dtype).permute(0, 3, 1, 2)  # cast first and last: TensorRT knows 8 bits only at the border
        marks = mask.to(dtype).unsqueeze(1)
        stages = self.net(pixels / 127.5 - 1, (marks >= 128).to(pixels.dtype))
        drawn = torch.round(((stages.global_ + 1) * 127.5).clamp(0, 255))  # rounded, where upstream truncates
        return torch.where(marks != 0, drawn, pixels).permute(0, 2, 3, 1).to(torch.uint8)


def fold_batchnorm(model: LGNet) -> LGNet:
    """A copy in evaluation mode that computes the same with BatchNorm folded into the convolutions, in float32."""
    folded = copy.deepcopy(model).float().eval()
    for unet in (folded.coarse, folded.global_):
        assert isinstance(unet, UNet)
        for level in [*unet.down, *unet.up]:
            assert isinstance(level, Down | Up)
            if isinstance(level.norm, nn.BatchNorm2d):
                level.conv = fuse_conv_bn_eval(level.conv, level.norm, transpose=isinstance(level, Up))
                level.norm = nn.Identity()
    _fold_sequence(folded.local)
    return folded


def _fold_sequence(local: LocalNet) -> None:
    for i, layer in enumerate(local):
        if isinstance(layer, Residual):
            layer.conv1, layer.norm1 = fuse_conv_bn_eval(layer.conv1, layer.norm1), nn.Identity()  # type: ignore[assignment]
            layer.conv2, layer.norm2 = fuse_conv_bn_eval(layer.conv2, layer.norm2), nn.Identity()  # type: ignore[assignment]
        elif isinstance(layer, nn.BatchNorm2d):
            conv = local[i - 1]
            local[i - 1] = fuse_conv_bn_eval(conv, layer, transpose=isinstance(conv, nn.ConvTranspose2d))  # type: ignore[type-var]
            local[i] = nn.Identity()


def export_onnx(
    model: LGNet,
    path: Path,
    *,
    precision: Precision = "fp32",
    size: int | None = None,
    slices: int = CPU_SLICES,
    windows: bool = True,
    attention: Form = "float",
    weights_sha256: str = "",
) -> None:
    """Write `model` as one ONNX file with a dynamic batch, whole or not at all.

    Args:
        model: trained network, BatchNorm and all; it is not changed.
        path: where the graph goes.
        precision: `fp16` halves weights and arithmetic, except attention, for which see below.
        size: one fixed side in pixels, or None for any height and width that are multiples of 256.
        slices: see CPU_SLICES.
        windows: compute NetL around the holes alone, in tensors whose sizes depend on the mask, which TensorRT does not
            take. The pictures are the same.
        attention: for `fp16`, how attention stands in the graph; see `Form`. Normalising stays in float32 in any.
        weights_sha256: hash of the file the weights came from; the graph carries it.

    Raises:
        UsageError: `size` is no multiple of 256.
    """
    graph = _graph(model, precision, size, slices, windows, attention)
    _describe(graph, model.width, precision, size, slices, windows, weights_sha256, attention)
    with replacing(path) as temporary:
        onnx.save_model(graph, temporary)


def ship(model: LGNet, folder: Path, name: str, provenance: dict[str, str]) -> None:
    """Write what runs without PyTorch: `<name>.safetensors`, stored in half, and the graph `<name>.onnx` beside it.

    The graph holds no convolution weights of its own. It reads them out of the safetensors file and, since those are
    as trained, multiplies them by BatchNorm's scale, which a runtime does once when it loads. So the numbers are
    stored once, for running, for training further and for building other engines alike.
    """
    weights = folder / f"{name}.safetensors"
    save(model, weights, provenance, half=True)
    stored = load(weights)  # rounded to half as the graph will read them, so that both compute the same
    graph = _graph(stored, "fp32", None, CPU_SLICES, windows=True)
    _describe(graph, model.width, "fp32", None, CPU_SLICES, True, sha256(weights))
    _read_weights_from(graph, weights, _scales(stored))
    with replacing(folder / f"{name}.onnx") as temporary:
        onnx.save_model(graph, temporary)


def _graph(
    model: LGNet, precision: Precision, size: int | None, slices: int, windows: bool, attention: Form = "float"
) -> onnx.ModelProto:
    if size is not None and (size < SIZE_MULTIPLE or size % SIZE_MULTIPLE):
        raise UsageError(f"size {size}: the network halves it eight times, so it must be a multiple of {SIZE_MULTIPLE}")
    folded = around_holes(fold_batchnorm(model)) if windows else fold_batchnorm(model)
    if attention != "float":
        halve_attention(folded)
    network = EightBit(folded.half() if precision == "fp16" else folded).eval()
    side = size or 2 * DEFAULT_SIZE  # a dynamic size is traced at another than the smallest, which could be special
    image = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    batch, high, wide = (torch.export.Dim(name, min=1) for name in ("n", "h", "w"))
    free = {0: batch} if size else {0: batch, 1: SIZE_MULTIPLE * high, 2: SIZE_MULTIPLE * wide}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (image, image[..., 0]),
            input_names=[IMAGE, MASK],
            output_names=[FILLED],
            opset_version=OPSET_OF_ATTENTION if attention == "fused" else OPSET,
            dynamic_shapes={"image": free, "mask": free},
            custom_translation_table=in_onnx()
            | {torch.ops.aten.scaled_dot_product_attention.default: _attention_in(slices, attention)},
            verbose=False,
        )
    assert program is not None
    graph = _without_traces(program.model_proto)
    for node in graph.graph.node:
        if node.op_type == "Attention":
            del node.output[1:]  # the exporter names all four, and TensorRT would compute what is named
    if windows:
        del graph.graph.value_info[:]  # the sizes that the exporter noted are those without windows
    return graph


def _attention_in(slices: int, form: Form) -> Any:
    """How attention with scale 1 is written in ONNX: as one operator, or in `slices` parts of its queries, in turn."""
    from onnxscript import opset18 as op

    def attention(
        query: Any, key: Any, value: Any, attn_mask: None = None, dropout_p: float = 0.0, is_causal: bool = False,
        scale: float = 1.0, enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        if form == "fused":
            return _in_one_operator(query, key, value)
        keys = op.Transpose(key, perm=[0, 1, 3, 2])
        parts = op.Split(query, axis=2, num_outputs=slices) if slices > 1 else [query]
        mixed = [op.MatMul(op.Softmax(op.MatMul(part, keys), axis=-1), value) for part in parts]
        return op.Concat(*mixed, axis=2) if slices > 1 else mixed[0]

    return attention


def _in_one_operator(query: Any, key: Any, value: Any) -> Any:
    """As two heads, each with half of the queries, that share keys and values: the same numbers in the same places.

    With one head, TensorRT-RTX 1.7 finds no fused kernel for a fixed batch of 1.
    """
    from onnxscript import opset18 as op
    from onnxscript import opset23

    halves = op.Reshape(query, [0, QUERY_HEADS, -1, query.shape[-1]])
    mixed, *_ = opset23.Attention(halves, key, value, scale=1.0)
    return op.Reshape(mixed, [0, 1, -1, query.shape[-1]])


def _without_traces(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's stack traces: half of a small graph, and paths of the machine that exported it."""
    for entry in [*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer]:
        entry.doc_string = ""
        del entry.metadata_props[:]
    for value in graph.graph.value_info:
        del value.metadata_props[:]
    del graph.graph.metadata_props[:]
    return graph


def _describe(
    graph: onnx.ModelProto,
    width: int,
    precision: str,
    size: int | None,
    slices: int,
    windows: bool,
    weights_sha256: str,
    attention: Form = "float",
) -> None:
    graph.producer_name = "lgnet"
    metadata = {
        "lgnet.width": str(width),
        "lgnet.precision": precision,
        "lgnet.size": str(size or f"multiples of {SIZE_MULTIPLE}"),
        "lgnet.slices": str(slices),
        "lgnet.local": AROUND_HOLES if windows else "everywhere",
        "lgnet.weights_sha256": weights_sha256,
    }
    if attention != "float":  # as it is where nothing is said
        metadata["lgnet.attention"] = attention
    onnx.helper.set_model_props(graph, metadata)


def _scales(model: LGNet) -> dict[str, Tensor]:
    """For each convolution followed by BatchNorm, what folding multiplies its output channels by."""
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    return {_convolution_before(name): _scale(norm) for name, norm in norms.items()}


def _scale(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    return norm.weight / torch.sqrt(norm.running_var + norm.eps)


def _convolution_before(norm: str) -> str:
    parent, _, leaf = norm.rpartition(".")
    return f"{parent}.{leaf.replace('norm', 'conv') if leaf.startswith('norm') else int(leaf) - 1}"


def _read_weights_from(graph: onnx.ModelProto, weights: Path, scales: dict[str, Tensor]) -> None:
    """Replace each convolution's weights by: half in the safetensors file -> Cast -> Mul by BatchNorm's scale."""
    extents = read_header(weights).extents
    names = [i.name for i in graph.graph.initializer if i.name.removeprefix("net.") in extents and len(i.dims) == 4]
    kept = [i for i in graph.graph.initializer if i.name not in names]
    dims = {i.name: list(i.dims) for i in graph.graph.initializer}
    transposed = {n.input[1] for n in graph.graph.node if n.op_type == "ConvTranspose"}  # (I, O, k, k)
    nodes = []
    for name in names:
        ours = name.removeprefix("net.")
        kept.append(_external(f"{name}.stored", dims[name], weights.name, *extents[ours]))
        scale = scales.get(ours.removesuffix(".weight"))
        wide = name if scale is None else f"{name}.wide"
        nodes.append(onnx.helper.make_node("Cast", [f"{name}.stored"], [wide], to=onnx.TensorProto.FLOAT))
        if scale is not None:
            shape = (1, -1, 1, 1) if name in transposed else (-1, 1, 1, 1)
            kept.append(onnx.numpy_helper.from_array(scale.detach().reshape(shape).numpy(), f"{name}.scale"))
            nodes.append(onnx.helper.make_node("Mul", [wide, f"{name}.scale"], [name]))
    nodes.extend(graph.graph.node)
    del graph.graph.initializer[:], graph.graph.node[:]
    graph.graph.initializer.extend(kept)
    graph.graph.node.extend(nodes)


def _external(name: str, dims: list[int], location: str, offset: int, length: int) -> onnx.TensorProto:
    """A half tensor whose bytes lie in another file of the same folder."""
    tensor = onnx.TensorProto(name=name, dims=dims, data_type=onnx.TensorProto.FLOAT16)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor
