"""The discriminator and the initialisation."""

import pytest
import torch

from lgnet_cli.model import LGNet
from lgnet_cli.training.discriminator import Discriminator, initialise


def test_layers_are_upstreams() -> None:
    judge = Discriminator()
    shapes = {tuple(p.shape) for p in judge.parameters() if p.dim() == 4}
    assert shapes == {(64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1, 512, 5, 5)}
    assert sum(p.dim() == 1 for p in judge.parameters()) == 1  # one bias: the last layer's
    assert judge(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 27, 27)  # 256 -> 127 -> 63 -> 31 -> 29 -> 27


def test_spectral_norm_is_one() -> None:
    torch.manual_seed(0)
    judge = Discriminator().train()
    for _ in range(60):  # power iterations
        judge(torch.zeros(1, 3, 64, 64))
    weight = judge[0].weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=0.02)  # converges, never exactly


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = LGNet(16)
    initialise(model)
    convolutions = torch.cat([p.flatten() for p in model.parameters() if p.dim() == 4])
    assert convolutions.mean().item() == pytest.approx(0, abs=1e-4)  # 7 million draws
    assert convolutions.std().item() == pytest.approx(0.02, abs=1e-4)
    norms = torch.cat([m.weight for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert norms.mean().item() == pytest.approx(1, abs=0.005)
    assert norms.std().item() == pytest.approx(0.02, abs=0.003)
    biases = [m.bias for m in model.modules() if getattr(m, "bias", None) is not None]
    assert all(not b.any() for b in biases)
