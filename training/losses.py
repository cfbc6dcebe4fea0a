"""The losses of the paper (section III-D) as the authors' code computes them (`models/loss.py`, `pix2pixglg_model.py`).

Images are (N, 3, H, W) RGB in [-1, 1], masks (N, 1, H, W) with 1 = hole.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_cli.model import Stages

from .config import Config

Features = Callable[[Tensor], list[Tensor]]
Judge = Callable[[Tensor], Tensor]
Window = tuple[slice, slice, slice, slice]


def masked_l1(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Absolute differences where `mask` is 1: each sample's sum by its area, then the batch's mean."""
    sums = ((output - image).abs() * mask).sum(dim=(1, 2, 3))
    areas = mask.sum(dim=(1, 2, 3)) * image.shape[1]
    return (sums / (areas + 1e-12)).mean()  # a mask may be empty


def perceptual(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Sum over layers of the mean absolute difference of features."""
    return torch.stack([(x - y).abs().mean() for x, y in zip(a, b, strict=True)]).sum()


def style(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Sum over layers of the mean absolute difference of Gram matrices, each by C * H * W."""
    return torch.stack([(gram(x) - gram(y)).abs().mean() for x, y in zip(a, b, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, C), by C * H * W. In float32: sums over a whole layer overflow half."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute difference of vertical neighbours, plus that of horizontal ones."""
    return image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()


def judged(config: Config, stages: Stages, image: Tensor, mask: Tensor) -> Tensor:
    """What the discriminator is shown as made: the coarse stage's holes in the image (upstream), or the result."""
    return stages.merged if config.judged == "result" else image * (1 - mask) + stages.coarse * mask


def adversarial(verdict: Tensor) -> Tensor:
    """LSGAN, for what made the image: the judge should say 1 (Mao et al. 2017)."""
    return F.mse_loss(verdict, torch.ones_like(verdict))


def discriminator(real: Tensor, made: Tensor) -> Tensor:
    """LSGAN, for the judge, halved."""
    return (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(made, torch.zeros_like(made))) / 2


def window(config: Config, image: Tensor) -> Window:
    """What the feature network and the discriminator see: everything, or a random square (torch's generator)."""
    side = min(config.texture_size or image.shape[2], image.shape[2])
    top, left = (int(torch.randint(length - side + 1, ())) for length in image.shape[2:])
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def inpainting(
    config: Config,
    stages: Stages,
    image: Tensor,
    mask: Tensor,
    window: Window,
    features: Features | None,
    judge: Judge | None,
) -> dict[str, Tensor]:
    """The weighted terms whose sum the three stages are trained on, by name.

    Args:
        config: the weights.
        stages: what the network gave for `image` and `mask`.
        image: the whole photo.
        mask: the holes.
        window: the part that `features` and `judge` see.
        features: the network of the perceptual and style terms, or None to leave them out.
        judge: the discriminator, whose parameters get no gradient, or None to leave the adversarial term out.
    """
    terms = {}
    for name, output in zip("CLG", stages[:3], strict=True):
        terms[f"valid_{name}"] = config.valid * masked_l1(output, image, 1 - mask)
        terms[f"hole_{name}"] = config.hole * masked_l1(output, image, mask)
    if features is not None:
        terms |= _texture(config, stages, image, mask, window, features)
    if judge is not None:
        terms["adversarial"] = config.adversarial * adversarial(judge(judged(config, stages, image, mask)[window]))
    return terms


def _texture(
    config: Config, stages: Stages, image: Tensor, mask: Tensor, window: Window, features: Features
) -> dict[str, Tensor]:
    """Perceptual, style and tv terms of stages L and G, each for the raw output and for it merged with the image."""
    with torch.no_grad():
        of_image = features(image[window])
    terms = {}
    for name, output in (("L", stages.local), ("G", stages.global_)):
        merged = image * (1 - mask) + output * mask
        of_both = [features(picture[window]) for picture in (output, merged)]
        terms[f"perceptual_{name}"] = config.perceptual_weight * sum(perceptual(of_image, f) for f in of_both)
        terms[f"style_{name}"] = config.style * sum(style(of_image, f) for f in of_both)
        terms[f"tv_{name}"] = config.tv * total_variation(merged * mask)
    return terms  # type: ignore[return-value]  # sum() of tensors is a tensor
