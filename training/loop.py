"""The training loop, top to bottom."""

import math
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from lgnet_cli import __version__
from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import Interrupted, TrainingStopped
from lgnet_cli.model import save
from lgnet_cli.model.checkpoint import save_published
from lgnet_cli.weights.header import sha256

from . import losses
from .config import LAST, Config, to_toml
from .data import Numbers, Photos, loader
from .display import Display
from .distributed import Ranks, parallel, started, unsynchronised, with_shared_statistics
from .evaluate import ValidationSet, as_network_input, grid, validate, validation_set
from .records import Records
from .setup import arithmetic, feature_network, fresh_state, keep_memory
from .sources import find
from .state import WEIGHTS, State, load_state, save_state


@dataclass(frozen=True)
class Job:
    """What the command line asks for beside the config."""

    run: Path  # the folder that everything goes to
    resume: bool  # go on from its last.pt
    init: Path | None  # weights to start from; None: random
    device: str  # auto, cpu or cuda
    workers: int  # processes that decode
    weights_dir: Path | None  # where the feature network's file may lie
    published: bool  # write the published format too, at the end
    quiet: bool


def train(config: Config, job: Job) -> None:
    """Train, or go on training.

    Raises:
        Interrupted: SIGTERM or Ctrl-C; the state is saved.
        TrainingStopped: a loss or gradient is not finite, or another process of the run is gone.
        NothingToDo, FileError, ModelError: data or weights cannot be read.
    """
    go_on = f"go on from the last checkpoint with: lgnet train --resume -o {job.run}"
    with started(job.device, go_on) as ranks, _stop_signals() as stop:
        device = ranks.device
        if device.type == "cpu":
            keep_memory()
        images = find(config.images)
        masks = find(config.masks) if config.masks else []
        total = config.steps or math.ceil(
            config.epochs * len(images) / (config.batch * config.accumulate * ranks.world)
        )
        held = _held(config, len(images)) if ranks.first else None
        state = fresh_state(config, job.init, device, len(images), ranks.world)
        config = replace(config, width=state.model.width)
        if job.resume:
            load_state(state, job.run, device)
        features = feature_network(config, job.weights_dir, device)
        precision, layout = arithmetic(config, device)
        state.model.to(memory_format=layout)  # type: ignore[call-overload]
        if config.sync_batchnorm:
            state.model = with_shared_statistics(state.model, ranks)  # type: ignore[assignment]
        network = parallel(torch.compile(state.model) if config.compile else state.model, ranks)  # type: ignore[arg-type]
        judge = parallel(state.judge, ranks) if state.judge else None
        provenance = _provenance(config, job, len(images), ranks)
        records = Records(job.run, state.step) if ranks.first else None
        if ranks.first:
            write_bytes(job.run / "config.toml", to_toml(config).encode())
        log_every = min(config.log_every, max(1, total // 20))
        numbers = Numbers(state.step, total, config.batch, config.accumulate, ranks.rank, ranks.world)
        batches = iter(loader(Photos(config, images, masks), numbers, job.workers, pin=device.type == "cuda"))
        since: dict[str, list[Tensor]] = defaultdict(list)  # each term's values since the last line of the record
        parameters = list(state.model.parameters())
        saved, stopped = state.step if job.resume else None, False

        images_a_step = config.batch * config.accumulate * ranks.world
        with Display(state.step, total, images_a_step, quiet=job.quiet or not ranks.first) as display:
            if records and held and state.step == 0:
                _validate(config, job, state, held, records, display, device, provenance)
                display.measure()  # the first rate is that of training
            state.model.train()

            while state.step < total and not stopped:
                torch.manual_seed(config.seed + state.step * ranks.world + ranks.rank)
                for optimiser in filter(None, (state.optimiser, state.judge_optimiser)):
                    optimiser.zero_grad(set_to_none=True)
                    for group in optimiser.param_groups:
                        group["lr"] = learning_rate(config, state.step, total)
                textured = state.step >= config.texture_from * total
                waited, names, losses_of_parts = 0.0, [], []

                for part in range(config.accumulate):
                    asked = time.perf_counter()
                    batch = next(batches)
                    waited += time.perf_counter() - asked
                    for line in batch.unreadable:
                        display.note(f"skipped, the next one took its place: {line}")
                    image, mask = as_network_input(batch.image, batch.mask, device)
                    image = image.contiguous(memory_format=layout)
                    window = losses.window(config, image)
                    accumulating = part + 1 < config.accumulate

                    with torch.autocast(device.type, precision or torch.bfloat16, enabled=precision is not None):
                        with unsynchronised(network, accumulating):
                            stages = network(image, mask)

                        # The judge first, so that the network is judged by what it has just learned (upstream's order).
                        if judge is not None and state.judge_optimiser is not None and textured:
                            state.judge.requires_grad_(True)  # type: ignore[union-attr]
                            with unsynchronised(judge, accumulating):
                                made = losses.judged(config, stages, image, mask).detach()[window]
                                judged = losses.discriminator(judge(image[window]), judge(made))
                                state.scaler.scale(judged / config.accumulate).backward()  # type: ignore[no-untyped-call]
                            if not accumulating:
                                state.scaler.step(state.judge_optimiser)
                            state.judge.requires_grad_(False)  # type: ignore[union-attr]
                            since["judge"].append(judged.detach())

                        terms = losses.inpainting(
                            config,
                            stages,
                            image,
                            mask,
                            window,
                            features if textured else None,
                            state.judge if textured else None,
                        )
                        loss = torch.stack([term.float() for term in terms.values()]).sum()
                    with unsynchronised(network, accumulating):
                        state.scaler.scale(loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
                    for name, term in (terms | {"loss": loss}).items():
                        since[name].append(term.detach().float())
                    names.append(batch.name)
                    losses_of_parts.append(loss.detach())

                state.scaler.unscale_(state.optimiser)
                norm = nn.utils.clip_grad_norm_(parameters, config.clip_gradient or math.inf)
                _check_finite(torch.stack(losses_of_parts).sum(), norm, state, "\n".join(names), job.run, saved)
                state.scaler.step(state.optimiser)
                state.scaler.update()
                state.step += 1
                state.update_average(config.ema)
                display.step(waited)

                stopped = ranks.any(bool(stop))
                if state.step % log_every == 0:
                    means = {name: float(ranks.mean(torch.stack(values).mean())) for name, values in since.items()}
                    since.clear()
                    rate, wait = display.measure()
                    display.say(state.step, means, rate, wait)
                    if records:
                        lr = learning_rate(config, state.step - 1, total)
                        records.write(state.step, losses=means, lr=lr, images_per_s=rate, data_wait=wait)
                last = state.step == total
                if records and held and (last or state.step % config.validate_every == 0):
                    _validate(config, job, state, held, records, display, device, provenance)
                    state.model.train()
                    display.measure()  # the next rate is that of training
                if ranks.first and (last or stopped or state.step % config.save_every == 0):
                    save_state(state, job.run, provenance)
                    saved = state.step

            if records:
                records.close()
            if stopped and state.step < total:
                raise Interrupted(f"stopped at step {state.step} of {total}; everything is saved", mend=go_on)
            if ranks.first:
                _finish(job, state, display)


def learning_rate(config: Config, step: int, total: int) -> float:
    """Of step `step`, counted from 0: up over the warm-up, constant, then down to zero."""
    warmup = min(config.warmup, total // 10)  # of a short trial too
    rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
    done = step / total
    if done < config.decay_from or config.decay_from == 1:
        return config.learning_rate * rising
    falling = (done - config.decay_from) / (1 - config.decay_from)
    share = 1 - falling if config.decay == "linear" else 0.5 * (1 + math.cos(math.pi * falling))
    return config.learning_rate * rising * share


def _held(config: Config, count: int) -> ValidationSet:
    masks = find(config.val_masks) if config.val_masks else []
    return validation_set(config, find(config.val_images or config.images), masks)


def _validate(
    config: Config, job: Job, state: State, held: ValidationSet, records: Records, display: Display,
    device: torch.device, provenance: dict[str, str],
) -> None:  # fmt: skip
    """Measure the averaged weights, show pictures, and keep the weights if they are among the best."""
    psnr = validate(state.average, held, device, config.batch)
    on = "validation" if config.val_images else "training"
    records.write(state.step, **{f"psnr_{on}": psnr})
    records.show(state.step, grid(state.average, held, device))
    by_bucket = "  ".join(f"{name} {value:.2f}" for name, value in psnr.items())
    display.note(f"step {state.step}: PSNR in dB on {on} photos: {by_bucket}")
    if state.step and config.keep_best:
        _keep_best(config, job.run, state, psnr["mean"], provenance)


def _keep_best(config: Config, run: Path, state: State, psnr: float, provenance: dict[str, str]) -> None:
    name = f"best-{state.step:07}.safetensors"
    ranked = sorted({*state.best, (psnr, name)}, reverse=True)
    if (psnr, name) in ranked[: config.keep_best]:
        save(state.average, run / name, provenance | {"steps": str(state.step), "psnr_db": f"{psnr:.3f}"})
    for _, dropped in ranked[config.keep_best :]:
        (run / dropped).unlink(missing_ok=True)
    state.best = tuple(ranked[: config.keep_best])


def _check_finite(loss: Tensor, norm: Tensor, state: State, files: str, run: Path, saved: int | None) -> None:
    """With a loss scaler a gradient may overflow: the scaler leaves that step out and halves its scale."""
    scaled = state.scaler.is_enabled() and state.scaler.get_scale() >= 1
    if torch.isfinite(loss) and (torch.isfinite(norm) or scaled):
        return
    what = "gradient" if torch.isfinite(loss) else "loss"
    good = f"{run / LAST} is good, of step {saved}" if saved is not None else "no checkpoint was saved before it"
    edit = f"then, from that checkpoint: lgnet train --resume -o {run}" if saved is not None else "in a new run"
    raise TrainingStopped(
        f"step {state.step + 1}: the {what} is not finite (loss {float(loss)}, gradient norm {float(norm)}); {good}; "
        f"the batch was:\n  " + files.replace("\n", "\n  "),
        mend=f"it would happen again: lower learning_rate, set clip_gradient, or precision = fp32 in "
        f"{run / 'config.toml'}; {edit}",
    )


def _provenance(config: Config, job: Job, count: int, ranks: Ranks) -> dict[str, str]:
    facts = {"trained with": f"lgnet {__version__}", "images": str(count), "seed": str(config.seed)}
    facts["images a step"] = str(config.batch * config.accumulate * ranks.world)
    if job.init and job.init.is_file():
        facts["started from"] = f"{job.init.name}, SHA-256 {sha256(job.init)}"
    return facts


def _finish(job: Job, state: State, display: Display) -> None:
    if job.published:
        save_published(state.average, job.run / "published")
    weights = job.run / WEIGHTS
    display.note(f"done: {weights}; use it with: lgnet inpaint IMAGES MASKS -o OUT --weights {weights}")


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGTERM or Ctrl-C adds to; the loop looks at it after each step. A second Ctrl-C ends at once."""
    received: list[int] = []

    def note(number: int, _: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
