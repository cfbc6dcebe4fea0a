"""What a graph costs, computed from the graph alone: arithmetic, traffic, memory. Nothing here is measured."""

import math
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxscript.optimizer

from lgnet_cli.spec import IMAGE, MASK

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """Of one call at one batch and size."""

    half_flops: int  # of convolutions and matrix products in half; a multiply-add is 2
    float_flops: int  # of those in float32
    weight_bytes: int
    border_bytes: int  # image, mask and result
    peak_bytes: int  # results of the graph's operators alive at once, if each is freed after its last use

    @property
    def least_traffic(self) -> int:
        """Bytes that must be read or written even if every intermediate result stayed in the caches."""
        return self.weight_bytes + self.border_bytes

    def device_bytes(self, lanes: int) -> int:
        """Of a GPU's memory, with `lanes` batches on their way; what a builder fuses further makes it less."""
        return self.weight_bytes + lanes * (self.peak_bytes + self.border_bytes)


def cost_of(path: Path, batch: int, side: int) -> Cost:
    """The cost of a graph that `export.py` wrote, at `batch` images of `side` x `side` pixels."""
    graph = _concrete(onnx.load(path), batch, side).graph
    tensors = _tensors(graph)
    half, single = _flops(graph, tensors)
    borders = {v.name for v in [*graph.input, *graph.output]}
    return Cost(
        half_flops=half,
        float_flops=single,
        weight_bytes=sum(math.prod(i.dims) * _size(i.data_type) for i in graph.initializer),
        border_bytes=sum(_bytes(tensors[name]) for name in borders),
        peak_bytes=_peak(graph, tensors),
    )


def _concrete(model: onnx.ModelProto, batch: int, side: int) -> onnx.ModelProto:
    """The graph with every shape a number."""
    for value in model.graph.input:
        shape = {IMAGE: (batch, side, side, 3), MASK: (batch, side, side)}[value.name]
        for dim, extent in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            dim.Clear()
            dim.dim_value = extent
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    del model.graph.value_info[:]
    folded = onnxscript.optimizer.optimize(model, onnx_shape_inference=True)
    return onnx.shape_inference.infer_shapes(folded, data_prop=True)


def _tensors(graph: onnx.GraphProto) -> dict[str, tuple[Shape, int]]:
    """{name: (shape, element type)} of everything computed or stored."""
    found = {i.name: (tuple(i.dims), i.data_type) for i in graph.initializer}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        kind = value.type.tensor_type
        found[value.name] = (tuple(d.dim_value for d in kind.shape.dim), kind.elem_type)
    return found


def _flops(graph: onnx.GraphProto, tensors: dict[str, tuple[Shape, int]]) -> tuple[int, int]:
    """Of the layers that do nearly all the arithmetic: (in half, in float32)."""
    totals: dict[int, int] = {onnx.TensorProto.FLOAT16: 0, onnx.TensorProto.FLOAT: 0}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Attention"):
            continue
        (first, kind), (second, _), (out, _) = (tensors[n] for n in (node.input[0], node.input[1], node.output[0]))
        if node.op_type == "MatMul":
            products = math.prod(out) * first[-1]
        elif node.op_type == "Attention":  # every query meets every key, and every weight every value
            products = 2 * math.prod(first) * second[-2]
        else:  # every weight meets every position: of the output, or for a transposed convolution of the input
            positions = out if node.op_type == "Conv" else first
            products = math.prod(second) * positions[0] * math.prod(positions[2:])
        totals[kind] += 2 * products
    return totals[onnx.TensorProto.FLOAT16], totals[onnx.TensorProto.FLOAT]


def _peak(graph: onnx.GraphProto, tensors: dict[str, tuple[Shape, int]]) -> int:
    last = {name: i for i, node in enumerate(graph.node) for name in node.input}
    alive, now, most = {}, 0, 0
    for i, node in enumerate(graph.node):
        for name in node.output:
            alive[name] = _bytes(tensors[name])
            now += alive[name]
        most = max(most, now)
        for name in {n for n in node.input if last[n] == i}:
            now -= alive.pop(name, 0)
    return most


def _bytes(tensor: tuple[Shape, int]) -> int:
    return math.prod(tensor[0]) * _size(tensor[1])


def _size(kind: int) -> int:
    return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
