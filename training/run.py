"""From `lgnet train`'s options to a config and a job."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from lgnet_cli.errors import MissingBackend, UsageError

from .config import LAST, Config, checked, from_options, parsed, read_toml
from .sources import expanded


def run(
    out: Path, preset: str, file: Path | None, options: dict[str, Any], pairs: list[str], *, resume: bool,
    init: Path | None, device: str, workers: int | None, weights_dir: Path | None, published: bool, quiet: bool,
) -> None:  # fmt: skip
    """Check what can be checked before PyTorch loads, then train. Raises UsageError and what `loop.train` does."""
    given = options | parsed(pairs)
    if resume:
        config = _resumed(out, file, given, init)
    else:
        if (out / LAST).exists():
            raise UsageError(
                f"{out}: holds a run", mend=f"go on with it: lgnet train --resume -o {out}  (or name another folder)"
            )
        config = _absolute(from_options(preset, file, given))
    if not config.images:
        raise UsageError("no images to train on", mend="name them: --images FOLDER")
    out.mkdir(parents=True, exist_ok=True)
    try:
        from .loop import Job, train
    except ImportError as error:
        raise MissingBackend(
            f"training needs PyTorch ({error.name} is missing)", mend="pip install 'lgnet[train]'"
        ) from error
    jobs = workers if workers is not None else max(1, min(8, (os.cpu_count() or 2) // 2))
    train(config, Job(out, resume, init, device, jobs, weights_dir, published, quiet))


def _resumed(out: Path, file: Path | None, given: dict[str, Any], init: Path | None) -> Config:
    """The run's own config. Nothing in it may be changed half way: the result would be of neither."""
    if file or given or init:
        raise UsageError("--resume takes every setting from the run's config.toml", mend="leave the other options out")
    return checked(Config(**read_toml(out / "config.toml")))


def _absolute(config: Config) -> Config:
    """Places as they are found from any folder, so that a run goes on from wherever it is called."""
    places = {name: getattr(config, name) for name in ("images", "masks", "val_images", "val_masks")}
    return replace(config, **{name: _full(place) for name, place in places.items() if place})  # type: ignore[arg-type]


def _full(place: str) -> str:
    first = expanded(place)[0] if place.endswith(".tar") else place
    return place if Path(first).is_absolute() else str(Path.cwd() / place)
