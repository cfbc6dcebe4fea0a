"""`lgnet bench` alone: a short look at the default model, within two minutes on two cores."""

from pathlib import Path

from lgnet_cli.benchmarks.latency import Options, measure
from lgnet_cli.benchmarks.report import say, show_latency
from lgnet_cli.errors import UsageError

SHORT = Options(runs=10, seconds=10.0, starts=1, images=20)
"""Enough for medians; percentiles want `lgnet bench latency`."""


def run_short(images: Path | None, masks: Path | None, out: Path | None, command: list[str]) -> None:
    """Latency of every back end that is here, batch 1, 256 x 256; the quality pass belongs after it.

    Args:
        images: photos for the quality pass; `examples/images` below the current folder if None.
        masks: theirs; `examples/masks` if None.
        out: where reports go, or None.
        command: how it was asked for.

    Raises:
        UsageError: there are no photos or masks.
    """
    example_folders(images, masks)  # before the work, not after it
    show_latency(measure(SHORT, command, say), False, out)


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
