"""One full training step, this code against upstream's formulas: `python -m lgnet_cli.benchmarks.training_step`.

Both train the same weights on the same batch with the reconstruction, total variation and adversarial losses (the
feature network is the same code in both, so it is left out). Upstream's side: attention with the score map stored and
pooled, a separate Adam for each stage, not fused; nothing kept between steps by the allocator.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from lgnet_cli.benchmarks.upstream import plain
from lgnet_cli.model import LGNet
from lgnet_cli.training import losses
from lgnet_cli.training.config import PRESETS
from lgnet_cli.training.discriminator import Discriminator, initialise
from lgnet_cli.training.setup import fresh_state, keep_memory

SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--batch", type=int, default=4, help="images a step")
    parser.add_argument("--runs", type=int, default=3, help="processes of each side, in turn")
    parser.add_argument("--steps", type=int, default=3, help="measured steps a process, after one to warm up")
    parser.add_argument("--side", choices=["ours", "upstream"], help="measure one side here, and print JSON")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_measured(options.side, options.width[0], options.batch, options.steps)))
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(os.sched_getaffinity(0))} cores; seconds"
    )
    print("| width | upstream's formulas | this code | ratio |\n|---|---|---|---|")
    for width in options.width:
        seconds: dict[str, list[float]] = {"upstream": [], "ours": []}
        for _ in range(options.runs):
            for side in seconds:
                seconds[side] += _in_a_process(side, width, options.batch, options.steps)
        theirs, ours = (statistics.median(seconds[side]) / options.batch for side in ("upstream", "ours"))
        print(f"| {width} | {theirs:.3f} | {ours:.3f} | {theirs / ours:.2f} |", flush=True)


def _in_a_process(side: str, width: int, batch: int, steps: int) -> list[float]:
    """Each side in a process of its own, for the allocator's settings hold for a whole process."""
    command = [sys.executable, "-m", "lgnet_cli.benchmarks.training_step", "--side", side]
    command += ["--width", str(width), "--batch", str(batch), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(seconds) for seconds in json.loads(done.stdout)]


def _measured(side: str, width: int, batch: int, steps: int) -> list[float]:
    """Seconds of each step after the first."""
    torch.manual_seed(0)
    image = torch.rand(batch, 3, SIZE, SIZE) * 2 - 1
    mask = torch.zeros(batch, 1, SIZE, SIZE)
    mask[:, :, 60:180, 40:150] = 1
    step = (_our_step if side == "ours" else _upstream_step)(width, image, mask)
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def _our_step(width: int, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    keep_memory()
    config = replace(PRESETS["celebahq"], width=width, perceptual="none", perceptual_weight=0.0, style=0.0)
    state = fresh_state(config, None, torch.device("cpu"))
    assert state.judge is not None
    assert state.judge_optimiser is not None
    judge, optimisers = state.judge, [state.optimiser]
    return _step(state.model.train(), judge, optimisers, state.judge_optimiser, image, mask)


def _upstream_step(width: int, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    model = LGNet(width)
    initialise(model)
    model = plain(model).train()
    adam = [torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999)) for part in model.children()]
    judge = Discriminator()
    judge_adam = torch.optim.Adam(judge.parameters(), 2e-4, (0.5, 0.999))
    return _step(model, judge, adam, judge_adam, image, mask)


def _step(
    model: LGNet,
    judge: Discriminator | torch.nn.Module,
    optimisers: list[torch.optim.Adam] | list[torch.optim.Optimizer],
    judge_optimiser: torch.optim.Optimizer,
    image: torch.Tensor,
    mask: torch.Tensor,
) -> Callable[[], None]:
    """Forward, the judge's update, the network's update: upstream's order."""
    config = replace(PRESETS["celebahq"], perceptual_weight=0.0, style=0.0)
    everything = losses.window(config, image)

    def step() -> None:
        stages = model(image, mask)
        judge_optimiser.zero_grad()
        made = losses.judged(config, stages, image, mask).detach()
        losses.discriminator(judge(image), judge(made)).backward()  # type: ignore[no-untyped-call]
        judge_optimiser.step()
        judge.requires_grad_(False)
        for optimiser in optimisers:
            optimiser.zero_grad()
        terms = losses.inpainting(config, stages, image, mask, everything, None, judge)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
        judge.requires_grad_(True)

    return step


if __name__ == "__main__":
    main()
