"""`lgnet bench` alone: a short look at the default model, within two minutes on two cores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lgnet_cli.benchmarks.latency import Options, measure
from lgnet_cli.errors import UsageError

SHORT = Options(runs=10, seconds=10.0, starts=1, images=20, rounds=1)
"""Enough for medians; percentiles want `lgnet bench latency`."""


def short_latency(command: list[str], say: Callable[[str], None]) -> dict[str, Any]:
    """The latency of every back end that is here, batch 1, 256 x 256."""
    return measure(SHORT, command, say)


def example_folders(images: Path | None, masks: Path | None) -> tuple[Path, Path]:
    """Photos and masks for the short quality pass: those given, or `examples/` below the current folder.

    Raises:
        UsageError: neither is there.
    """
    found = images or Path("examples/images"), masks or Path("examples/masks")
    missing = [str(folder) for folder in found if not folder.is_dir()]
    if missing:
        raise UsageError(
            f"no folder {' and no folder '.join(missing)} here: the examples are not part of the installed package",
            mend="give your own with --images DIR --masks DIR, or run it in a clone of the repository",
        )
    return found
