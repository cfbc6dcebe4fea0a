"""Attention as a GPU's fused kernels take it: queries, keys and values in half.

A fused kernel computes attention without ever storing the score map. TensorRT has such kernels for half alone: in
float32 it stores the scores, 72 MB for one picture of 256 x 256, and reads them again twice.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_cli.model import LGNet
from lgnet_cli.model.layers import Attention, attention_inputs

WIDEST_HEAD = 256
"""Channels that a fused kernel takes. A wider level has 256 positions alone for a picture of 256 x 256, and costs next
to nothing as products."""

LARGEST_SCORE = 60_000
"""Half ends at 65504. Below this, no score overflows even where a builder stores it in half."""


def halve_attention(model: LGNet) -> LGNet:
    """`model` itself, its attention now by `HalfAttention`."""
    levels = model.global_.attention
    for name, attention in levels.items():
        assert isinstance(attention, Attention)
        levels[name] = HalfAttention(attention)
    return model


class HalfAttention(nn.Module):
    """`Attention` with its products in half. (N, C, H, W) -> (N, C, H, W), of the input's dtype."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.combine = attention.combine

    def forward(self, f: Tensor) -> Tensor:
        query, key = half_inputs(f)
        mixed = _fusable(query, key) if f.shape[1] <= WIDEST_HEAD else _products(query, key)
        out: Tensor = self.combine(torch.cat([mixed.transpose(2, 3).reshape(f.shape).to(f.dtype), f], dim=1))
        return out


def half_inputs(f: Tensor) -> tuple[Tensor, Tensor]:
    """Queries, and keys that are the values too. (N, C, H, W) -> two of (N, 1 head, HW, C), half.

    Features are normalised in float32, where neither a sum of squares overflows nor the epsilon vanishes. Keys are of
    length 1, so a score is at most its query's length, and queries are kept to a length that half can hold. (Of the
    model that ships, the largest score on photos is 179: nothing is cut.)
    """
    query, key = attention_inputs(f)
    most = LARGEST_SCORE / math.sqrt(f.shape[1])  # a query of such values everywhere is LARGEST_SCORE long
    return query.clamp(-most, most).half(), key.half()


def _fusable(query: Tensor, key: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, key, scale=1.0)


def _products(query: Tensor, key: Tensor) -> Tensor:
    """Two products in half, and softmax in float32. TensorRT-RTX multiplies no float32 matrices on Turing."""
    scores = (query @ key.transpose(-1, -2)).float()
    return F.softmax(scores, dim=-1).half() @ key
