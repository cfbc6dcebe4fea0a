"""What a run starts with: networks, optimisers, arithmetic, memory."""

import ctypes
import sys
from pathlib import Path

import torch
from torch import nn

from lgnet_cli.errors import MissingWeights
from lgnet_cli.model import LGNet, load, load_published
from lgnet_cli.perceptual import networks

from .config import Config
from .discriminator import Discriminator, initialise
from .state import State, averaged

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's names for mallopt


def keep_memory() -> None:
    """Have glibc keep freed memory instead of giving it back to the system.

    Every step frees and wants again the same hundreds of megabytes; taking them from the system, page by page and
    zeroed, was a fifth of a step on a CPU. Other C libraries are left alone.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def fresh_state(config: Config, init: Path | None, device: torch.device, images: int, processes: int) -> State:
    """A run's state before its first step. Weights to start from decide the width."""
    torch.manual_seed(config.seed)
    if init:
        model = load(init) if init.suffix == ".safetensors" else load_published(init)
    else:
        model = LGNet(config.width)
        initialise(model)
    model.to(device)
    judge = Discriminator().to(device) if config.adversarial and config.texture_from < 1 else None
    return State(
        model,
        averaged(model, config.ema),
        judge,
        _adam(config, model),
        _adam(config, judge) if judge else None,
        torch.amp.GradScaler(device.type, enabled=config.precision == "fp16"),
        images,
        processes,
    )


def _adam(config: Config, module: nn.Module) -> torch.optim.Adam:
    betas = (config.beta1, config.beta2)
    return torch.optim.Adam(module.parameters(), lr=config.learning_rate, betas=betas, fused=True)


def arithmetic(config: Config, device: torch.device) -> tuple[torch.dtype | None, torch.memory_format]:
    """(type of mixed precision or None, memory layout). On a CPU, bf16 and channels-last were measured to be slower."""
    cuda = device.type == "cuda"
    precision = ("bf16" if cuda else "fp32") if config.precision == "auto" else config.precision
    layout = ("channels-last" if cuda else "contiguous") if config.layout == "auto" else config.layout
    kinds = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    return kinds[precision], torch.channels_last if layout == "channels-last" else torch.contiguous_format


def feature_network(config: Config, weights_dir: Path | None, device: torch.device) -> nn.Module | None:
    """The network of the perceptual and style losses, or None where they rest to the end.

    Raises MissingWeights: its file is not here.
    """
    if config.perceptual == "none" or not (config.perceptual_weight or config.style) or config.texture_from == 1:
        return None
    try:
        if config.perceptual == "vgg16":
            return networks.vgg16(weights_dir, imagenet=config.imagenet_normalisation).to(device)
        make = networks.st_vgg16 if config.perceptual == "st-vgg16" else networks.st_alexnet
        return make(weights_dir, slices=3).to(device)  # as many as VGG16 is read from
    except MissingWeights as error:
        others = "--perceptual none, or with another network: --perceptual st-vgg16 or st-alexnet"
        raise MissingWeights(error.args[0], mend=f"{error.mend}\n  or train without it: {others}") from error
