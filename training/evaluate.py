"""How good the network is, on fixed photos with fixed holes, by share of holes."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lgnet_cli.imaging.strokes import BUCKETS, bucket_of, random_hole
from lgnet_cli.model import LGNet, Stages

from .config import Config
from .data import central, read_hole, rgb
from .sources import Source


@dataclass(frozen=True)
class ValidationSet:
    """Held in memory, 8-bit."""

    images: Tensor  # (N, H, W, 3) uint8 RGB
    masks: Tensor  # (N, H, W) uint8, 1 = hole


def validation_set(config: Config, images: list[Source], masks: list[Source]) -> ValidationSet:
    """The first `val_count` photos, spread over `images`, their central squares; holes of every bucket in turn.

    Raises FileError: one of them cannot be read.
    """
    count = min(config.val_count, len(images))
    picked = [images[i * len(images) // count] for i in range(count)]
    rng = np.random.default_rng([config.seed, 2])
    pixels = [central(rgb(source), config.size) for source in picked]
    if masks:
        holes = [read_hole(masks[i * len(masks) // count], config.size) for i in range(count)]
    else:
        holes = [random_hole(rng, config.size, BUCKETS[i % len(BUCKETS)]).astype(np.uint8) for i in range(count)]
    return ValidationSet(torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(holes)))


def as_network_input(images: Tensor, masks: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """8-bit (N, H, W, 3) and (N, H, W) as the network's (N, 3, H, W) in [-1, 1] and (N, 1, H, W)."""
    images, masks = images.to(device, non_blocking=True), masks.to(device, non_blocking=True)
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1, masks.unsqueeze(1).float()


def as_pixels(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) in [-1, 1] -> (N, H, W, 3) uint8, rounded, on the CPU."""
    return ((pictures.float() + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()


@torch.no_grad()
def validate(model: LGNet, held: ValidationSet, device: torch.device, batch: int) -> dict[str, float]:
    """PSNR in dB of the 8-bit result by bucket ("10-20": percent of holes; "other": in none), and "mean" of these."""
    model.eval()
    found = defaultdict(list)
    for start in range(0, len(held.images), batch):
        part = slice(start, start + batch)
        result = as_pixels(run(model, held.images[part], held.masks[part], device).merged)
        errors = (result.float() - held.images[part].float()).square().mean(dim=(1, 2, 3))
        shares = held.masks[part].float().mean(dim=(1, 2))
        for error, share in zip(errors.tolist(), shares.tolist(), strict=True):
            found[bucket_of(share) or "other"].append(100.0 if error == 0 else float(10 * np.log10(255**2 / error)))
    means = {name: float(np.mean(values)) for name, values in sorted(found.items())}
    return means | {"mean": float(np.mean(list(means.values())))}


@torch.no_grad()
def run(model: LGNet, images: Tensor, masks: Tensor, device: torch.device) -> Stages:
    """The stages of an 8-bit batch."""
    stages: Stages = model(*as_network_input(images, masks, device))
    return stages


@torch.no_grad()
def grid(model: LGNet, held: ValidationSet, device: torch.device, rows: int = 6) -> np.ndarray:
    """(rows * H, 6 * W, 3) uint8 RGB: input, stages C, L and G raw, result, truth; a row a bucket."""
    model.eval()
    images, masks = held.images[:rows], held.masks[:rows]
    stages = run(model, images, masks, device)
    shown = torch.where(masks.unsqueeze(3) != 0, torch.tensor(255, dtype=torch.uint8), images)
    columns = [shown, *(as_pixels(picture) for picture in stages), images]
    return np.vstack([np.hstack([column[i].numpy() for column in columns]) for i in range(len(images))])
