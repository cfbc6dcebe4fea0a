"""Attention for TensorRT-RTX on Turing (compute capability 7.5), where it multiplies matrices in half alone."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_cli.model import LGNet
from lgnet_cli.model.layers import Attention, attention_inputs

SMALLEST = 1e-30
"""Of a query's largest feature, so that a query of zeros divides by more than zero."""


def halve_products(model: LGNet) -> LGNet:
    """`model` itself, the two matrix products of its attention now in half."""
    levels = model.global_.attention
    for name, attention in levels.items():
        assert isinstance(attention, Attention)
        levels[name] = HalfProducts(attention)
    return model


class HalfProducts(nn.Module):
    """`Attention` but for its two products. (N, C, H, W) -> (N, C, H, W).

    Nothing overflows: each query is divided by its largest feature before the first product and its scores multiplied
    by that after it; keys are of length 1, and weights, which softmax gives in float32, add up to 1.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.combine = attention.combine

    def forward(self, f: Tensor) -> Tensor:
        query, key = attention_inputs(f)
        largest = query.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)
        half_key = key.half()
        scores = ((query / largest).half() @ half_key.transpose(-1, -2)).float() * largest
        mixed = (F.softmax(scores, dim=-1).half() @ half_key).transpose(2, 3).reshape(f.shape)
        out: Tensor = self.combine(torch.cat([mixed.to(f.dtype), f], dim=1))
        return out
