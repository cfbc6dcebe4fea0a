"""AlexNet's and VGG16's convolutions, laid out as torchvision's, with random weights."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, *features: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)


def alexnet(pretrained: bool) -> Network:
    torch.manual_seed(1)
    relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
    return Network(
        *(nn.Conv2d(3, 64, 11, 4, 2), relu, pool),
        *(nn.Conv2d(64, 192, 5, padding=2), relu, pool),
        *(nn.Conv2d(192, 384, 3, padding=1), relu),
        *(nn.Conv2d(384, 256, 3, padding=1), relu),
        *(nn.Conv2d(256, 256, 3, padding=1), relu, pool),
    )


def vgg16(pretrained: bool) -> Network:
    torch.manual_seed(2)
    layers: list[nn.Module] = []
    width = 3
    for block, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(width, block, 3, padding=1), nn.ReLU(inplace=True)]
            width = block
        layers.append(nn.MaxPool2d(2, 2))
    return Network(*layers)
