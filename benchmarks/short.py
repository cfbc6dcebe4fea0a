"""`lgnet bench` alone: a short look at the default model, within two minutes on two cores."""

from importlib.util import find_spec
from pathlib import Path

from lgnet_cli.benchmarks.latency import Options, measure
from lgnet_cli.benchmarks.report import save_quality, say, show_latency
from lgnet_cli.errors import UsageError

SHORT = Options(runs=10, seconds=10.0, starts=1, images=20)
"""Enough for medians; percentiles want `lgnet bench latency`."""

FOLDER = "short"
"""Below OUT, so that a full run's figures in OUT stay as they are."""

AGAINST = ("telea", "ns")

PHOTOS = 2
"""The first so many are filled, each under six masks: what users get takes about a second a mask."""


def run_short(images: Path | None, masks: Path | None, out: Path | None, command: list[str]) -> None:
    """Latency of every back end that is here, batch 1, 256 x 256; then quality beside OpenCV's two methods.

    Args:
        images: photos, of which the first PHOTOS are filled; `examples/images` below the current folder if None.
        masks: theirs; made up, one a photo and bucket, if None.
        out: below it, in `FOLDER`, reports go; or None. A short run before this one is overwritten.
        command: how it was asked for.

    Raises:
        UsageError: there are no photos.
    """
    photos = example_photos(images)  # before the work, not after it
    out = out / FOLDER if out else None
    show_latency(measure(SHORT, command, say), False, out)
    if not all(map(find_spec, ("torch", "skimage", "sklearn"))):
        say("quality was not measured: it takes pip install 'lgnet[bench]'")
        return
    from lgnet_cli.benchmarks.job import QualityJob
    from lgnet_cli.benchmarks.quality import run_quality
    from lgnet_cli.benchmarks.quality_table import tables

    found = run_quality(
        QualityJob(photos, out, masks, against=AGAINST, limit=PHOTOS, overwrite=True, command=tuple(command))
    )
    print(tables(found, intervals=False))
    if out:
        save_quality(found, out)


def example_photos(images: Path | None) -> Path:
    """The photos given, or `examples/images` below the current folder. Raises UsageError: neither is there."""
    found = images or Path("examples/images")
    if not found.is_dir():
        raise UsageError(
            f"no folder {found} here: the examples are not part of the installed package",
            mend="give your own with --images DIR, or run it in a clone of the repository",
        )
    return found
