"""Feature networks for images in [-1, 1], frozen, and the distance LPIPS on their features."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .files import ST_ALEXNET, ST_VGG16, VGG16, WeightFile, read

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]: what torchvision's networks were trained with."""


class Vgg16(nn.Module):
    """VGG16 to its third pool (Simonyan and Zisserman, 2015), with torchvision's weights.

    `forward`: (N, 3, H, W) RGB in [-1, 1] -> the features after pool1, pool2 and pool3.

    Args:
        state: torchvision's state dict.
        imagenet: normalise with ImageNet's mean and deviation, which the network was trained with. Upstream feeds it
            [-1, 1] as it is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state: dict[str, Tensor], *, imagenet: bool) -> None:
        super().__init__()
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else ((0.5,) * 3, (0.5,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        places = ((0, 2), (5, 7), (10, 12, 14))  # of the convolutions, in torchvision's sequence
        blocks = (nn.Sequential(*(m for p in block for m in (convolution(state, f"features.{p}"), nn.ReLU())))
                  for block in places)  # fmt: skip
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = ((x + 1) / 2 - self.mean) / self.std
        features = []
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
            features.append(x)
        return features


class Blur(nn.Module):
    """Halve the size through a 3 x 3 binomial filter, so that a small shift changes little (Zhang, 2019)."""

    kernel: Tensor

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.register_buffer("kernel", kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), self.kernel, stride=2, groups=x.shape[1])


class Sliced(nn.Module):
    """A network in slices. `forward`: (N, 3, H, W) RGB in [-1, 1] -> the features after each slice.

    Args:
        slices: its parts, one after the other.
        shift: (1, 3, 1, 1), taken off the picture first.
        scale: (1, 3, 1, 1), by which it is then divided.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, slices: list[nn.Sequential], shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.slices = nn.ModuleList(slices)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = (x - self.shift) / self.scale
        features = []
        for part in self.slices:
            x = part(x)
            features.append(x)
        return features


class Lpips(nn.Module):
    """The distance LPIPS (Zhang et al., CVPR 2018); on shift-tolerant networks, ST-LPIPS.

    `forward`: two of (N, 3, H, W) RGB in [-1, 1] -> (N,), 0 where they are equal.
    """

    def __init__(self, network: nn.Module, state: dict[str, Tensor]) -> None:
        """`network`: pictures -> five lists of features; `state`: its heads, `lin0.model.1.weight` and so on."""
        super().__init__()
        self.network = network
        self.heads = [state[f"lin{i}.model.1.weight"] for i in range(5)]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.compare(self.network(a), self.network(b))

    def compare(self, of_a: list[Tensor], of_b: list[Tensor]) -> Tensor:
        """The distance of pictures whose features are known: (1 or N, C, H, W) and (N, C, H, W) a slice -> (N,)."""
        total = torch.zeros(len(of_b[0]), device=of_b[0].device)
        for a, b, head in zip(of_a, of_b, self.heads, strict=True):
            apart = (_unit(a) - _unit(b)).square()
            total = total + F.conv2d(apart, head.to(a.device)).mean(dim=(1, 2, 3))
        return total


def vgg16(folder: Path | None = None, *, imagenet: bool, file: WeightFile = VGG16) -> Vgg16:
    """Raises as `files.find` does."""
    return Vgg16(read(file, folder), imagenet=imagenet).eval()


def st_alexnet(folder: Path | None = None, slices: int = 5) -> Sliced:
    """Its first `slices` slices. Raises as `files.find` does."""
    return _st_alexnet(read(ST_ALEXNET, folder), slices)


def st_vgg16(folder: Path | None = None, slices: int = 5) -> Sliced:
    """Its first `slices` slices. Raises as `files.find` does."""
    return _st_vgg16(read(ST_VGG16, folder), slices)


def st_lpips(folder: Path | None = None) -> Lpips:
    """The distance on AlexNet, its authors' default. Raises as `files.find` does."""
    state = read(ST_ALEXNET, folder)
    return Lpips(_st_alexnet(state), state).eval()


def st_lpips_vgg(folder: Path | None = None) -> Lpips:
    """The distance on VGG16. Raises as `files.find` does."""
    state = read(ST_VGG16, folder)
    return Lpips(_st_vgg16(state), state).eval()


def _shift_tolerant(state: dict[str, Tensor], slices: list[nn.Sequential]) -> Sliced:
    """With the input scaling of ST-LPIPS' files (Ghildyal and Liu, ECCV 2022)."""
    return Sliced(slices, state["scaling_layer.shift"], state["scaling_layer.scale"]).eval()


def _st_alexnet(state: dict[str, Tensor], count: int = 5) -> Sliced:
    def conv(name: str, padding: int = 1) -> nn.Conv2d:
        return convolution(state, f"net.{name}", padding)

    def halve(name: str) -> list[nn.Module]:
        return [nn.MaxPool2d(3, stride=1), _blur(state, name)]

    slices = [
        nn.Sequential(conv("slice1.0", 2), _blur(state, "slice1.1"), nn.ReLU()),
        nn.Sequential(*halve("slice2.4"), conv("slice2.5", 2), nn.ReLU()),
        nn.Sequential(*halve("slice3.8"), conv("slice3.9"), nn.ReLU()),
        nn.Sequential(conv("slice4.11"), nn.ReLU()),
        nn.Sequential(conv("slice5.13"), nn.ReLU()),
    ]
    return _shift_tolerant(state, slices[:count])


def _st_vgg16(state: dict[str, Tensor], count: int = 5) -> Sliced:
    places = ((0, 2), (6, 8), (12, 14, 16), (20, 22, 24), (28, 30, 32))
    slices = []
    for number, convolutions in enumerate(places, start=1):
        layers: list[nn.Module] = []
        if number > 1:
            layers += [nn.MaxPool2d(2, stride=1), _blur(state, f"slice{number}.{convolutions[0] - 1}")]
        for place in convolutions:
            layers += [convolution(state, f"net.slice{number}.{place}"), nn.ReLU()]
        slices.append(nn.Sequential(*layers))
    return _shift_tolerant(state, slices[:count])


def convolution(state: dict[str, Tensor], name: str, padding: int = 1) -> nn.Conv2d:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=padding)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return conv


def _blur(state: dict[str, Tensor], name: str) -> Blur:
    return Blur(state[f"net.{name}.filt"])


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
