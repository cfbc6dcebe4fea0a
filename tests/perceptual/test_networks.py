"""The feature networks against the numbers of the code they come from."""

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor, nn

from lgnet_cli.perceptual.files import VGG16
from lgnet_cli.perceptual.networks import IMAGENET_MEAN, IMAGENET_STD, st_lpips, st_lpips_vgg, st_vgg16, vgg16

FIXTURE = Path(__file__).parents[1] / "fixtures" / "official_w8_256"


def picture(name: str) -> Tensor:
    """(1, 3, 256, 256) in [-1, 1]."""
    pixels = cv2.cvtColor(cv2.imread(str(FIXTURE / name)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.mark.parametrize(("name", "make"), [("alex", st_lpips), ("vgg", st_lpips_vgg)])
def test_st_lpips_is_the_packages_own(name: str, make: type) -> None:
    published = json.loads((FIXTURE / "st_lpips.json").read_text())
    distance = make()
    with torch.no_grad():
        apart = distance(picture("image.png"), picture("merged.png"))
        assert apart.item() == pytest.approx(published[name], rel=1e-5)  # float32, sums in another order
        assert distance(picture("image.png"), picture("image.png")).item() == 0
        both = distance(picture("image.png").repeat(2, 1, 1, 1), torch.cat([picture("merged.png")] * 2))
    assert both.tolist() == pytest.approx([published[name]] * 2, rel=1e-5)


def test_features_carry_gradients_to_the_picture_and_not_to_the_network() -> None:
    network = st_vgg16()
    x = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network(x)[2].sum().backward()
    assert x.grad is not None
    assert not any(p.requires_grad for p in network.parameters())


def torchvision_sequence() -> nn.Sequential:
    """VGG16 to pool3, laid out as torchvision's `features`: the numbers in its key names are places in it."""
    layers: list[nn.Module] = []
    for channels in ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256)):
        for i, o in itertools.pairwise(channels):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("imagenet", [False, True])
def test_vgg16_is_torchvisions_sequence(imagenet: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sequence = torchvision_sequence()
    path = tmp_path / VGG16.name
    torch.save({f"features.{k}": v for k, v in sequence.state_dict().items()}, path)
    file = replace(VGG16, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        ours = vgg16(tmp_path, imagenet=imagenet, file=file)(x)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        y = ((x + 1) / 2 - mean) / std if imagenet else x
        theirs = []
        for layer in sequence:
            y = layer(y)
            if isinstance(layer, nn.MaxPool2d):
                theirs.append(y)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)  # float32
