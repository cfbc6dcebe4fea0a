"""The patch discriminator of the authors' code, and the initialisation that all networks share."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

STANDARD_DEVIATION = 0.02
"""Of initial weights (upstream, after DCGAN)."""


class Discriminator(nn.Sequential):
    """(N, 3, H, W) RGB in [-1, 1] -> a map of verdicts, 1 = real, 0 = made."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for channels_in, channels_out, stride in ((3, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 1)):
            conv = nn.Conv2d(channels_in, channels_out, 5, stride=stride, padding=1, bias=False)
            layers += [spectral_norm(initialise(conv)), nn.LeakyReLU(0.2)]
        super().__init__(*layers, initialise(nn.Conv2d(512, 1, 5, padding=1)))


def initialise(module: nn.Module) -> nn.Module:
    """Convolutions N(0, 0.02), BatchNorm N(1, 0.02), biases 0, in place; returns `module`."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, STANDARD_DEVIATION)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, STANDARD_DEVIATION)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d) and part.bias is not None:
            nn.init.zeros_(part.bias)
    return module
