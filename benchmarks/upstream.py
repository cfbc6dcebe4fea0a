"""Upstream's formulas rendered plainly: what speed is compared with, and the attention identity tested against."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_cli.model import LGNet
from lgnet_cli.model.layers import ATTENTION_EPSILON, Attention


def plain_attend(f: Tensor) -> Tensor:
    """Attention with the H*W x H*W scores stored, pooled and stored again. (N, C, H, W) -> the same.

    Sample by sample: every normalised position is a 1 x 1 kernel; the scores are a convolution with all of them,
    averaged over 3 x 3 queries and times 9; after softmax, the transposed convolution mixes the kernels.
    """
    mixed = []
    for sample in f:
        kernels = sample.flatten(1).t()[:, :, None, None] + ATTENTION_EPSILON  # (HW, C, 1, 1)
        kernels = kernels / kernels.square().sum(dim=1, keepdim=True).sqrt()
        scores = F.avg_pool2d(F.conv2d(sample[None], kernels), 3, stride=1, padding=1) * 9
        mixed.append(F.conv_transpose2d(scores.softmax(dim=1), kernels))
    return torch.cat(mixed)


class PlainAttention(Attention):
    """Attention as upstream computes it."""

    def forward(self, f: Tensor) -> Tensor:
        out: Tensor = self.combine(torch.cat([plain_attend(f), f], dim=1))
        return out


def plain(model: LGNet) -> LGNet:
    """A copy of `model` that computes as upstream does: unfused BatchNorm, contiguous layout, plain attention."""
    copied = copy.deepcopy(model)
    for attention in copied.global_.attention.values():
        attention.__class__ = PlainAttention
    return copied
