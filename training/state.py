"""A run's full state on disk, so that going on gives what never stopping would have given."""

import copy
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lgnet_cli.atomic import replacing
from lgnet_cli.errors import ModelError, UsageError
from lgnet_cli.model import LGNet, save

from .config import LAST

FORMAT = "lgnet-run-1"
WEIGHTS = "weights.safetensors"


@dataclass
class State:
    """What changes from step to step.

    Chance does not: order, crops, holes and torch's generator follow at every step from the seed and the step's number.
    """

    model: LGNet
    average: LGNet  # exponential moving average of `model`; `model` itself where the config has none
    judge: nn.Module | None
    optimiser: torch.optim.Optimizer
    judge_optimiser: torch.optim.Optimizer | None
    scaler: torch.amp.GradScaler
    images: int  # of the run's set, whose order depends on how many they are
    processes: int  # of the run: each takes its part of that order
    step: int = 0  # steps done
    best: tuple[tuple[float, str], ...] = ()  # (PSNR in dB, file) of the kept ones, the best first

    def update_average(self, decay: float) -> None:
        """Move the average towards the weights; faster in the first steps, when the average is still random.

        BatchNorm's statistics too: of the last few batches, as `model` has them, they are far off in the deepest
        layers, where a picture is 4 positions. Copied, they cost 1.2 dB in the mean of all hole shares.
        """
        if self.average is self.model:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
            for mine, its in zip(self.average.buffers(), self.model.buffers(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(its, 1 - decay)
                else:
                    mine.copy_(its)

    def parts(self) -> dict[str, Any]:
        """What is saved by its own state_dict."""
        parts = {"model": self.model, "judge": self.judge, "optimiser": self.optimiser,
                 "judge_optimiser": self.judge_optimiser, "scaler": self.scaler}  # fmt: skip
        if self.average is not self.model:
            parts["average"] = self.average
        return {name: part for name, part in parts.items() if part is not None}


def averaged(model: LGNet, decay: float) -> LGNet:
    """A copy to average into, or `model` itself where there is no decay."""
    return copy.deepcopy(model).requires_grad_(False) if decay else model


def save_state(state: State, run: Path, provenance: dict[str, str]) -> None:
    """Write `last.pt`, from which the run goes on, and `weights.safetensors`, to be used. Each whole or not at all."""
    held = {name: part.state_dict() for name, part in state.parts().items()}
    facts = {"format": FORMAT, "step": state.step, "best": json.dumps(state.best)}
    facts |= {"images": state.images, "processes": state.processes}
    with replacing(run / LAST) as temporary:
        torch.save(held | facts, temporary)
    save(state.average, run / WEIGHTS, provenance | {"steps": str(state.step)})


def load_state(state: State, run: Path, device: torch.device) -> None:
    """Put `last.pt` into `state`.

    Raises:
        ModelError: missing, not a run's state (a pickle's code is never run), or of another network.
        UsageError: it had other images or another number of processes, and would not go on as it began.
    """
    path = run / LAST
    if not path.is_file():
        raise ModelError(f"{path}: no such file, so there is nothing to go on from", mend="start without --resume")
    try:
        held = torch.load(path, map_location=device, weights_only=True)
        if held["format"] != FORMAT:
            raise ModelError(f"{path}: not the state of a run")
        _same(path, "images", int(held["images"]), state.images)
        _same(path, "processes", int(held["processes"]), state.processes)
        for name, part in state.parts().items():
            part.load_state_dict(held[name])
        state.step = int(held["step"])
        state.best = tuple((float(psnr), str(name)) for psnr, name in json.loads(held["best"]))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: cannot be gone on from: {error}") from error


def _same(path: Path, what: str, then: int, now: int) -> None:
    if then != now:
        raise UsageError(
            f"{path}: of a run with {then} {what}, and now there are {now}: it would not go on as it began",
            mend=f"go on with {then} {what}, or start a new run from its weights: --init {path.with_name(WEIGHTS)}",
        )
