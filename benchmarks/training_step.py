"""One full training step, this code against upstream's formulas: `python -m lgnet_cli.benchmarks.training_step`.

Both train the same network on the same batch: on the reconstruction losses alone; with the discriminator, whose
convolutions are the same work on both sides; and each by its whole recipe: the authors', with VGG16 and the
discriminator on whole images, and the small preset's, with ST-AlexNet and the discriminator on windows of them.
Upstream's side: attention with the score map stored and pooled, an Adam for each stage, not fused, and an allocator
that keeps nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lgnet_cli.benchmarks.upstream import plain
from lgnet_cli.model import LGNet
from lgnet_cli.perceptual.networks import Vgg16
from lgnet_cli.training import losses
from lgnet_cli.training.config import PRESETS, Config
from lgnet_cli.training.discriminator import Discriminator, initialise
from lgnet_cli.training.setup import feature_network, fresh_state, keep_memory

SIZE = 256
PLAIN = replace(PRESETS["celebahq"], perceptual_weight=0.0, style=0.0, perceptual="none")
LOSSES = {
    "reconstruction": "reconstruction",
    "discriminator": "and discriminator",
    "recipe": "each by its recipe: the authors', the small preset",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--batch", type=int, default=4, help="images a step")
    parser.add_argument("--runs", type=int, default=3, help="processes of each side, in turn")
    parser.add_argument("--steps", type=int, default=3, help="measured steps a process, after one to warm up")
    parser.add_argument("--side", choices=["ours", "upstream"], help="measure one side here, and print JSON")
    parser.add_argument("--losses", choices=list(LOSSES), default="reconstruction", help="of that one side")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_measured(options)))
        return
    print(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, batch {options.batch}; seconds an image")
    print("| width | losses | upstream's formulas | this code | ratio |\n|---|---|---|---|---|")
    for width in options.width:
        for name, what in LOSSES.items():
            theirs, ours = _medians(["--width", str(width), "--losses", name], options)
            print(f"| {width} | {what} | {theirs:.3f} | {ours:.3f} | {theirs / ours:.2f} |", flush=True)


def _medians(flags: list[str], options: argparse.Namespace) -> tuple[float, float]:
    """Seconds an image of (upstream, ours), in turn."""
    seconds: dict[str, list[float]] = {"upstream": [], "ours": []}
    for _ in range(options.runs):
        for side in seconds:
            seconds[side] += _in_a_process(side, [*flags, "--batch", str(options.batch), "--steps", str(options.steps)])
    theirs, ours = (statistics.median(seconds[side]) / options.batch for side in ("upstream", "ours"))
    return theirs, ours


def _in_a_process(side: str, flags: list[str]) -> list[float]:
    """Each side in a process of its own, for the allocator's settings hold for a whole process."""
    command = [sys.executable, "-m", "lgnet_cli.benchmarks.training_step", "--side", side, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(seconds) for seconds in json.loads(done.stdout)]


def _measured(options: argparse.Namespace) -> list[float]:
    """Seconds of each step after the first."""
    torch.manual_seed(0)
    image = torch.rand(options.batch, 3, SIZE, SIZE) * 2 - 1
    mask = torch.zeros(options.batch, 1, SIZE, SIZE)
    mask[:, :, 60:180, 40:150] = 1
    step = (_our_step if options.side == "ours" else _upstream_step)(options, image, mask)
    seconds = []
    for _ in range(options.steps + 1):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def _our_step(options: argparse.Namespace, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    keep_memory()
    whole = options.losses == "recipe"
    config = (
        replace(PRESETS["small"], texture_from=0.0)
        if whole
        else replace(PLAIN, adversarial=0.1 * (options.losses == "discriminator"))
    )
    config = replace(config, width=options.width[0])
    state = fresh_state(config, None, torch.device("cpu"), 1, 1)
    features = feature_network(config, None, torch.device("cpu")) if whole else None
    return _step(
        config, state.model.train(), [state.optimiser], state.judge, state.judge_optimiser, features, image, mask
    )


def _upstream_step(options: argparse.Namespace, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    model = LGNet(options.width[0])
    initialise(model)
    model = plain(model).train()
    adam = [torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999)) for part in model.children()]
    judge = Discriminator() if options.losses != "reconstruction" else None
    judge_adam = torch.optim.Adam(judge.parameters(), 2e-4, (0.5, 0.999)) if judge else None
    features = Vgg16(_random_vgg16(), imagenet=False) if options.losses == "recipe" else None
    config = PRESETS["celebahq"] if features else PLAIN
    return _step(config, model, adam, judge, judge_adam, features, image, mask)


def _random_vgg16() -> dict[str, torch.Tensor]:
    """Weights of the shapes of torchvision's file, which time does not depend on."""
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256)}
    weights = {f"features.{place}.weight": torch.randn(*shape, 3, 3) * 0.02 for place, shape in shapes.items()}
    return weights | {f"features.{place}.bias": torch.zeros(shape[0]) for place, shape in shapes.items()}


def _step(
    config: Config,
    model: LGNet,
    optimisers: Sequence[torch.optim.Optimizer],
    judge: torch.nn.Module | None,
    judge_optimiser: torch.optim.Optimizer | None,
    features: torch.nn.Module | None,
    image: torch.Tensor,
    mask: torch.Tensor,
) -> Callable[[], None]:
    """Forward, the judge's update, the network's update: upstream's order."""

    def step() -> None:
        window = losses.window(config, image)
        stages = model(image, mask)
        if judge and judge_optimiser:
            judge.requires_grad_(True)
            judge_optimiser.zero_grad()
            made = losses.judged(config, stages, image, mask).detach()[window]
            losses.discriminator(judge(image[window]), judge(made)).backward()  # type: ignore[no-untyped-call]
            judge_optimiser.step()
            judge.requires_grad_(False)
        for optimiser in optimisers:
            optimiser.zero_grad()
        terms = losses.inpainting(config, stages, image, mask, window, features, judge)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()

    return step


if __name__ == "__main__":
    main()
