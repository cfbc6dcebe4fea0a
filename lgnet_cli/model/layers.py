"""The leaf blocks of the three stages: one encoder step, one decoder step, attention, one residual block."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTION_EPSILON = 1e-7
"""Added to features before they are normalised, so that a zero vector divides by more than zero (upstream's value)."""


class Down(nn.Module):
    """One encoder level: LeakyReLU 0.2, convolution k4 s2 p1, BatchNorm. (N, I, H, W) -> (N, O, H/2, W/2)."""

    def __init__(self, channels_in: int, channels_out: int, *, activate: bool = True, norm: bool = True) -> None:
        super().__init__()
        self.activate = nn.LeakyReLU(0.2) if activate else nn.Identity()
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(self.activate(x)))
        return out


class Up(nn.Module):
    """One decoder level: ReLU, transposed convolution k4 s2 p1, BatchNorm. (N, I, H, W) -> (N, O, 2H, 2W).

    The last level has no norm, so its convolution carries the bias.
    """

    def __init__(self, channels_in: int, channels_out: int, *, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(channels_out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(F.relu(x)))
        return out


def attend(f: Tensor) -> Tensor:
    """Every position becomes a mix of the normalised features of all positions. (N, C, H, W) -> the same, same dtype.

    Upstream averages the H*W x H*W score map over the 3x3 neighbourhood of each query and multiplies by 9. That sum
    is linear in the query, so it moves onto the features: sum_d <k_i, f_{q+d}> = <k_i, sum_d f_{q+d}>. What is left
    is plain attention with scale 1, which fused kernels compute without ever storing the score map.

    Always in float32: in half, epsilon vanishes (a zero vector divides by zero) and sums of squares overflow.
    """
    # Training in mixed precision would take the products to half. (The meta device knows no autocast, and raises.)
    if f.device.type != "meta" and torch.is_autocast_enabled(f.device.type):
        with torch.autocast(f.device.type, enabled=False):
            return attend(f)
    query, key = attention_inputs(f)
    out = F.scaled_dot_product_attention(query, key, key, scale=1.0)
    return out.transpose(2, 3).reshape(f.shape).to(f.dtype)


def attention_inputs(f: Tensor) -> tuple[Tensor, Tensor]:
    """Queries, and keys that are the values too, of length 1. (N, C, H, W) -> two of (N, 1 head, HW, C), float32."""
    n, c, h, w = f.shape
    wide = f.float()
    query = F.avg_pool2d(wide, 3, stride=1, padding=1) * 9
    key = wide + ATTENTION_EPSILON
    key = key / (key * key).sum(dim=1, keepdim=True).sqrt()
    # Contiguous: on any other layout PyTorch falls back, in silence, to storing the score map.
    query, key = (t.reshape(n, 1, c, h * w).transpose(2, 3).contiguous() for t in (query, key))
    return query, key


class Attention(nn.Module):
    """Attention beside its input, joined by a 1x1 convolution. (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.combine = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, f: Tensor) -> Tensor:
        out: Tensor = self.combine(torch.cat([attend(f), f], dim=1))
        return out


class Residual(nn.Module):
    """x + two reflect-padded 3x3 convolutions with BatchNorm, and no activation after the sum. Keeps the shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return x + inner
