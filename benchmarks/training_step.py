"""One full training step, this code against upstream's formulas: `python -m lgnet_cli.benchmarks.training_step`.

Both train the same network on the same batch, once on the reconstruction losses alone, once with the discriminator:
its convolutions are the same work on both sides, as are those of a feature network, which is left out. Upstream's side:
attention with the score map stored and pooled, an Adam for each stage, not fused, and an allocator that keeps nothing.
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
from lgnet_cli.training import losses
from lgnet_cli.training.config import PRESETS
from lgnet_cli.training.discriminator import Discriminator, initialise
from lgnet_cli.training.setup import fresh_state, keep_memory

SIZE = 256
PLAIN = replace(PRESETS["celebahq"], perceptual_weight=0.0, style=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--batch", type=int, default=4, help="images a step")
    parser.add_argument("--runs", type=int, default=3, help="processes of each side, in turn")
    parser.add_argument("--steps", type=int, default=3, help="measured steps a process, after one to warm up")
    parser.add_argument("--side", choices=["ours", "upstream"], help="measure one side here, and print JSON")
    parser.add_argument("--discriminator", action="store_true", help="of that one side")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_measured(options)))
        return
    print(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, batch {options.batch}; seconds an image")
    print("| width | losses | upstream's formulas | this code | ratio |\n|---|---|---|---|---|")
    for width in options.width:
        for losses_, flags in {"reconstruction": [], "and discriminator": ["--discriminator"]}.items():
            theirs, ours = _medians(["--width", str(width), *flags], options)
            print(f"| {width} | {losses_} | {theirs:.3f} | {ours:.3f} | {theirs / ours:.2f} |", flush=True)


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
    make = _our_step if options.side == "ours" else _upstream_step
    step = make(options.width[0], options.discriminator, image, mask)
    seconds = []
    for _ in range(options.steps + 1):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def _our_step(width: int, judged: bool, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    keep_memory()
    config = replace(PLAIN, width=width, perceptual="none", adversarial=0.1 * judged)
    state = fresh_state(config, None, torch.device("cpu"))
    return _step(state.model.train(), [state.optimiser], state.judge, state.judge_optimiser, image, mask)


def _upstream_step(width: int, judged: bool, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    model = LGNet(width)
    initialise(model)
    model = plain(model).train()
    adam = [torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999)) for part in model.children()]
    judge = Discriminator() if judged else None
    judge_adam = torch.optim.Adam(judge.parameters(), 2e-4, (0.5, 0.999)) if judge else None
    return _step(model, adam, judge, judge_adam, image, mask)


def _step(
    model: LGNet,
    optimisers: Sequence[torch.optim.Optimizer],
    judge: torch.nn.Module | None,
    judge_optimiser: torch.optim.Optimizer | None,
    image: torch.Tensor,
    mask: torch.Tensor,
) -> Callable[[], None]:
    """Forward, the judge's update, the network's update: upstream's order."""
    everything = losses.window(PLAIN, image)

    def step() -> None:
        stages = model(image, mask)
        if judge and judge_optimiser:
            judge.requires_grad_(True)
            judge_optimiser.zero_grad()
            made = losses.judged(PLAIN, stages, image, mask).detach()
            losses.discriminator(judge(image), judge(made)).backward()  # type: ignore[no-untyped-call]
            judge_optimiser.step()
            judge.requires_grad_(False)
        for optimiser in optimisers:
            optimiser.zero_grad()
        terms = losses.inpainting(PLAIN, stages, image, mask, everything, None, judge)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()

    return step


if __name__ == "__main__":
    main()
