"""The losses against the formulas written out."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from lgnet_cli.model import Stages
from lgnet_cli.training import losses
from lgnet_cli.training.config import PRESETS

CONFIG = PRESETS["celebahq"]


@pytest.fixture
def case() -> tuple[Stages, Tensor, Tensor]:
    torch.manual_seed(0)
    image, c, l_, g = (torch.rand(2, 3, 16, 16, dtype=torch.float64) * 2 - 1 for _ in range(4))
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.float64)
    mask[0, :, 3:9, 4:12] = 1
    mask[1, :, :5] = 1
    return Stages(c, l_, g, image * (1 - mask) + g * mask), image, mask


def layers(x: Tensor) -> list[Tensor]:
    """A feature network of three layers."""
    return [torch.nn.functional.avg_pool2d(x, k) * k for k in (1, 2, 4)]


def judge(x: Tensor) -> Tensor:
    return x.mean(dim=1, keepdim=True)[:, :, ::4, ::4]


def everything(image: Tensor) -> losses.Window:
    return losses.window(CONFIG, image)


def test_masked_l1_is_each_samples_sum_by_its_area(case: tuple[Stages, Tensor, Tensor]) -> None:
    stages, image, mask = case
    off = (stages.coarse - image).abs().numpy()
    expected = np.mean([off[n][:, mask[n, 0].numpy() == 1].mean() for n in range(2)])
    assert losses.masked_l1(stages.coarse, image, mask).item() == pytest.approx(expected)
    assert losses.masked_l1(stages.coarse, image, torch.zeros_like(mask)).item() == 0


def test_style_is_the_difference_of_grams() -> None:
    a, b = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    expected = 0.0
    for n in range(2):
        for i in range(3):
            for j in range(3):
                grams = [float((f[n, i] * f[n, j]).sum()) / (3 * 4 * 5) for f in (a, b)]
                expected += abs(grams[0] - grams[1]) / (2 * 9)
    assert losses.style([a], [b]).item() == pytest.approx(expected, rel=1e-4)  # float32 sums


def test_total_variation_of_a_step_edge() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[..., 2:] = 1
    assert losses.total_variation(image).item() == pytest.approx(4 / 12)  # 4 of 12 horizontal neighbours differ


def test_the_sum_is_upstreams(case: tuple[Stages, Tensor, Tensor]) -> None:
    stages, image, mask = case
    terms = losses.inpainting(CONFIG, stages, image, mask, everything(image), layers, judge)

    def stage(output: Tensor) -> Tensor:
        return losses.masked_l1(output, image, 1 - mask) + 6 * losses.masked_l1(output, image, mask)

    def texture(output: Tensor) -> Tensor:
        merged = image * (1 - mask) + output * mask
        real, raw, put = layers(image), layers(output), layers(merged)
        seen = 0.05 * (losses.perceptual(real, raw) + losses.perceptual(real, put))
        like = 120 * (losses.style(real, raw) + losses.style(real, put))
        return seen + like + 0.1 * losses.total_variation(merged * mask)

    coarse = image * (1 - mask) + stages.coarse * mask
    fooled = 0.1 * (judge(coarse) - 1).square().mean()
    expected = sum(stage(y) for y in stages[:3]) + texture(stages.local) + texture(stages.global_) + fooled
    # float32 Gram matrices among float64 sums
    assert torch.stack(list(terms.values())).sum().item() == pytest.approx(float(expected), rel=1e-5)
    assert losses.discriminator(judge(image), judge(coarse)).item() == pytest.approx(
        float(((judge(image) - 1).square().mean() + judge(coarse).square().mean()) / 2)
    )


def test_the_discriminator_may_judge_the_result(case: tuple[Stages, Tensor, Tensor]) -> None:
    stages, image, mask = case
    config = dataclasses.replace(CONFIG, judged="result")
    assert torch.equal(losses.judged(config, stages, image, mask), stages.merged)


def test_without_networks_their_terms_are_left_out(case: tuple[Stages, Tensor, Tensor]) -> None:
    stages, image, mask = case
    terms = losses.inpainting(CONFIG, stages, image, mask, everything(image), None, None)
    assert set(terms) == {f"{kind}_{stage}" for kind in ("valid", "hole") for stage in "CLG"}


def test_a_window_is_a_square_inside(case: tuple[Stages, Tensor, Tensor]) -> None:
    image = case[1]
    config = dataclasses.replace(CONFIG, texture_size=6)
    windows = [losses.window(config, image) for _ in range(50)]
    assert all(image[w].shape == (2, 3, 6, 6) for w in windows)
    assert len({(w[2].start, w[3].start) for w in windows}) > 10
