"""NetL around the holes alone, with as much of their surroundings as each of its layers reads. For CPUs.

Exact: of what NetL gives, NetG reads the holes, and those depend on the 43 pixels around them. What lies further away
is cut off, more of it with every step. Where the picture's own border is nearer than that, nothing is cut, so that a
layer pads what it always padded. Margins count cells of 4 x 4 pixels, the positions of NetL's coarsest layers.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_cli.model import LGNet

CELL = 4
"""Pixels."""

CUTS = {0: (11, 1), 10: (8, 4), 11: (6, 4), 12: (4, 4), 13: (2, 4), 16: (1, 2)}
"""{layer of NetL: (cells around the holes that must reach it, pixels from one of its positions to the next)}.

From the end: the last convolution reads 3 pixels on each side, in 1 cell (of layer 16's, which doubles the size); layer
13, the first to double it, 1 cell to the left and 2 to the right; each residual block, 9 to 12, 2 cells on each side
more; the first convolution and the halvings 7 pixels more, of which the left side has 4 already. Each number is the
least that will do, a cut before layer 9 would save too little.
"""


def around_holes(model: LGNet) -> LGNet:
    """`model` itself, its NetL now computed around the holes. Its stage `local` is then zero far from them."""
    model.add_module("local", AroundHoles(*model.local))
    return model


class AroundHoles(nn.Sequential):
    """NetL's layers. (N, 4, H, W), the mask last -> (N, 3, H, W): in holes what NetL gives, elsewhere anything.

    The images of a batch share one window, around all their holes.
    """

    def forward(self, x: Tensor) -> Tensor:
        window, part = Window(x[:, 3:]), x
        for index, layer in enumerate(self):
            if index in CUTS:
                part = window.cut(part, *CUTS[index])
            part = layer(part)
        filled: Tensor = put(part, window.start * CELL, x[:, :3])
        return filled


class Window:
    """Where the holes of a batch are, and what has been cut out around them: (row, column) in cells, as tensors."""

    def __init__(self, mask: Tensor) -> None:
        cells = F.max_pool2d(mask, CELL)
        spans = [_span(cells.amax((0, 1, 3))), _span(cells.amax((0, 1, 2)))]
        self.first, self.end, self.count = (torch.stack(places) for places in zip(*spans, strict=True))
        self.start = torch.zeros_like(self.first)

    def cut(self, part: Tensor, margin: int, stride: int) -> Tensor:
        """Cut further: the holes and `margin` cells, of a layer's input that has `stride` pixels a position."""
        start, end = (self.first - margin).clamp(min=0), torch.minimum(self.end + margin, self.count)
        scale, before, self.start = CELL // stride, self.start, start
        inner: Tensor = cut(part, (start - before) * scale, (end - before) * scale)
        return inner


def _span(taken: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first of the ones, one past the last (of none: 0 and 1), and how many entries there are. (n,) 0 or 1."""
    count = taken.shape[0]
    # Products, where an argmax would be shorter: OpenVINO's may take any of several ones.
    places = taken.long() * torch.arange(1, count + 1, device=taken.device)
    mirrored = taken.long() * torch.arange(count, 0, -1, device=taken.device)
    end = places.amax(0).clamp(min=1)
    return torch.minimum(count - mirrored.amax(0), end - 1), end, torch.full_like(end, count)


# To the exporter, which takes no sizes that depend on pixels, these two keep the size; in the graph they are Slice and
# Pad, which take any. What lies between them asks for no size.


@torch.library.custom_op("lgnet::cut", mutates_args=())
def cut(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Rows and columns `start` to `end`, both (2,) integers, of (N, C, H, W)."""
    (top, left), (bottom, right) = start.tolist(), end.tolist()
    return x[:, :, top:bottom, left:right].clone()


@torch.library.custom_op("lgnet::put", mutates_args=())
def put(part: Tensor, start: Tensor, whole: Tensor) -> Tensor:
    """`part` at row and column `start` of zeros of `whole`'s size."""
    (top, left), (height, width) = start.tolist(), whole.shape[2:]
    return F.pad(part, (left, width - left - part.shape[3], top, height - top - part.shape[2]))


@cut.register_fake
def _(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    return torch.empty_like(x)


@put.register_fake
def _(part: Tensor, start: Tensor, whole: Tensor) -> Tensor:
    return torch.empty_like(whole)


def in_onnx() -> dict[Any, Any]:
    """How `cut` and `put` are written in ONNX: {operator: function}."""
    from onnxscript import opset18 as op

    def slice_(x: Any, start: Any, end: Any) -> Any:
        return op.Slice(x, start, end, op.Constant(value_ints=[2, 3]))

    def pad(part: Any, start: Any, whole: Any) -> Any:
        none = op.Constant(value_ints=[0, 0])
        after = op.Sub(op.Sub(op.Shape(whole, start=2), start), op.Shape(part, start=2))
        return op.Pad(part, op.Concat(none, start, none, after, axis=0))

    return {torch.ops.lgnet.cut.default: slice_, torch.ops.lgnet.put.default: pad}
