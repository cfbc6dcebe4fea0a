"""What one call of the graph needs at least: arithmetic and bytes. Needs the `torch` extra; computes nothing."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from lgnet_cli.engines.export import EightBit, fold_batchnorm
from lgnet_cli.model import LGNet


@dataclass(frozen=True)
class Cost:
    """Of one call."""

    flops: int  # multiplications and additions of its convolutions and matrix products, as they are written
    bytes: int  # each float32 weight read once, image and mask read, result written; activations stay in caches


def cost(width: int, size: int, batch: int) -> Cost:
    """Count the exported module (BatchNorm folded) at base width `width` on `batch` images of `size` x `size`.

    Counted by PyTorch while the module runs without numbers, so it is quick at any size.
    """
    with torch.device("meta"):
        network = EightBit(fold_batchnorm(LGNet(width).eval()))
    image = torch.zeros(batch, size, size, 3, dtype=torch.uint8, device="meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image, image[..., 0])
    weights = sum(4 * parameter.numel() for parameter in network.parameters())
    return Cost(counter.get_total_flops(), weights + image.numel() * 2 + image[..., 0].numel())
