"""LPIPS as its authors publish it: torchvision's networks under the heads inside the package `lpips` 0.1.4.

The package itself is not imported: it asks for torchvision, whose builds replace or break a PyTorch of another build.
Its two formulas are in `networks.Lpips`, and a test holds them to the package's own.
"""

from pathlib import Path

import torch
from torch import nn

from .files import ALEXNET, LPIPS_ALEX_HEADS, LPIPS_VGG_HEADS, VGG16, WeightFile, read
from .networks import Lpips, Sliced, convolution

SHIFT = torch.tensor((-0.030, -0.088, -0.188)).view(1, 3, 1, 1)
SCALE = torch.tensor((0.458, 0.448, 0.450)).view(1, 3, 1, 1)
"""What the package's scaling layer makes of ImageNet's mean and deviation, for RGB in [-1, 1]."""


def lpips_alex(
    folder: Path | None = None, *, network: WeightFile = ALEXNET, heads: WeightFile = LPIPS_ALEX_HEADS
) -> Lpips:
    """LPIPS on AlexNet, the headline number of the field. Raises as `files.find` does."""
    state = read(network, folder)
    first = convolution(state, "features.0", padding=2)
    first.stride = (4, 4)
    slices = [
        nn.Sequential(first, nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 2), convolution(state, "features.3", padding=2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 2), convolution(state, "features.6"), nn.ReLU()),
        nn.Sequential(convolution(state, "features.8"), nn.ReLU()),
        nn.Sequential(convolution(state, "features.10"), nn.ReLU()),
    ]
    return Lpips(Sliced(slices, SHIFT, SCALE), read(heads, folder)).eval()


def lpips_vgg(folder: Path | None = None, *, network: WeightFile = VGG16, heads: WeightFile = LPIPS_VGG_HEADS) -> Lpips:
    """LPIPS on VGG16: 20 GMAC an image of 256 x 256. Raises as `files.find` does."""
    state = read(network, folder)
    places = (
        (0, 2),
        (5, 7),
        (10, 12, 14),
        (17, 19, 21),
        (24, 26, 28),
    )  # of the convolutions, as torchvision counts
    slices = []
    for number, convolutions in enumerate(places):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
        for place in convolutions:
            layers += [convolution(state, f"features.{place}"), nn.ReLU()]
        slices.append(nn.Sequential(*layers))
    return Lpips(Sliced(slices, SHIFT, SCALE), read(heads, folder)).eval()
