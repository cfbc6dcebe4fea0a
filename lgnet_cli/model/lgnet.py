"""LGNet, after Quan et al., "Image Inpainting With Local and Global Refinement", IEEE TIP 31 (2022), section III.

Three stages, each correcting the one before: NetC sees everything but coarsely, NetL only a small neighbourhood but
sharply, NetG everything again, with attention. At base width 64 this is the paper's network (114.97 M parameters).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import Attention, Down, Residual, Up

LEVELS = 8
"""Halvings in each U-Net: 256 x 256 becomes 1 x 1."""

ATTENTION_LEVELS = (5, 4, 3)
"""Decoder levels of NetG that attend: 16 x 16, 32 x 32 and 64 x 64 positions for a 256 x 256 input."""

RESIDUAL_BLOCKS = 4
"""Residual blocks in NetL."""


class Stages(NamedTuple):
    """What each stage gives, (N, 3, H, W) float in [-1, 1]. Training supervises the first three, users see `merged`."""

    coarse: Tensor
    local: Tensor
    global_: Tensor
    merged: Tensor


class UNet(nn.Module):
    """NetC, and with `attention` NetG. Image and mask (N, 4, H, W) -> (N, 3, H, W) in [-1, 1].

    `down[k - 1]` and `up[k - 1]` are level k of the paper's figure; level 8 is the innermost and has no encoder norm.
    """

    def __init__(self, width: int, *, attention: bool) -> None:
        super().__init__()
        encoder = [width * min(2**level, 8) for level in range(LEVELS)]  # w, 2w, 4w, 8w, 8w, 8w, 8w, 8w
        decoder = [3, *encoder[:-1]]  # what level k gives: as many channels as the skip it is joined with
        self.down = nn.ModuleList(
            Down(i, o, activate=level > 1, norm=1 < level < LEVELS)
            for level, (i, o) in enumerate(zip([4, *encoder], encoder, strict=False), start=1)
        )
        self.up = nn.ModuleList(
            Up(i if level == LEVELS else 2 * i, o, norm=level > 1)
            for level, (i, o) in enumerate(zip(encoder, decoder, strict=True), start=1)
        )
        levels = ATTENTION_LEVELS if attention else ()
        self.attention = nn.ModuleDict({str(level): Attention(decoder[level - 1]) for level in levels})

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        for level in range(LEVELS, 0, -1):
            x = self.up[level - 1](x if level == LEVELS else torch.cat([skips[level - 1], x], dim=1))
            if str(level) in self.attention:
                x = self.attention[str(level)](x)
        return torch.tanh(x)


class LocalNet(nn.Sequential):
    """NetL: a shallow residual network that sees only a neighbourhood. (N, 4, H, W) -> (N, 3, H, W) in [-1, 1]."""

    def __init__(self, width: int) -> None:
        w = width
        super().__init__(
            *(nn.Conv2d(4, w, 7, padding=3, padding_mode="reflect", bias=False), nn.BatchNorm2d(w), nn.ReLU()),
            *(nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU()),
            *(nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU()),
            *(Residual(4 * w) for _ in range(RESIDUAL_BLOCKS)),
            *(_up3(4 * w, 2 * w), nn.BatchNorm2d(2 * w), nn.ReLU()),
            *(_up3(2 * w, w), nn.BatchNorm2d(w), nn.ReLU()),
            *(nn.Conv2d(w, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh()),
        )


def _up3(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1, bias=False)


class LGNet(nn.Module):
    """The three stages at any base width (64 in the paper, 16 in the model that ships).

    >>> stages = LGNet(width=16).eval()(image, mask)  # image (N, 3, H, W) in [-1, 1], mask (N, 1, H, W), 1 = hole
    >>> stages.merged.shape  # (N, 3, H, W); equals `image` where the mask is 0
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.coarse = UNet(width, attention=False)
        self.local = LocalNet(width)
        self.global_ = UNet(width, attention=True)

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Fill the holes of a batch.

        Args:
            image: (N, 3, H, W) RGB float in [-1, 1], H and W multiples of 256. Hole pixels are never read.
            mask: (N, 1, H, W) float, 1 = hole, 0 = known.
        """

        def known(y: Tensor) -> Tensor:
            """The stage's holes in the image's known pixels."""
            return image * (1 - mask) + y * mask

        white = image * (1 - mask) + mask  # holes are +1 at the input
        coarse = self.coarse(torch.cat([white, mask], dim=1))
        local = self.local(torch.cat([known(coarse), mask], dim=1))
        global_ = self.global_(torch.cat([known(local), mask], dim=1))
        return Stages(coarse, local, global_, known(global_))
