"""`lgnet bench`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .bench_quality import quality
from .shared import Verbose

app = typer.Typer(
    help="Measure on this machine; alone, a short look at the model that ships.",
    epilog="Example:  lgnet bench",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.command(epilog="Example:  lgnet bench quality --images photos/ --generate-masks --against telea,ns -o report/")(
    quality
)
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder for Markdown, LaTeX, CSV, JSON and HTML.")]


@app.callback()
def bench(
    context: typer.Context,
    images: Annotated[Path | None, typer.Option(help="Photos; examples/images below here if left out.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Their masks; made up if left out.")] = None,
    out: Out = None,
    verbose: Verbose = False,
) -> None:
    if context.invoked_subcommand is None:
        from lgnet_cli.benchmarks.short import run_short

        run_short(images, masks, out, _command())


@app.command(epilog="Example:  lgnet bench latency --backend all --batch 1,8 --size 256,512 --upstream -o report/")
def latency(
    backend: Annotated[str, typer.Option(help="all, or names with commas; one that is named must be there.")] = "all",
    batch: Annotated[str, typer.Option(help="Images a call, with commas.")] = "1",
    size: Annotated[str, typer.Option(help="Pixels of a side, multiples of 256, with commas.")] = "256",
    width: Annotated[
        str | None, typer.Option(help="Base widths, with commas; random weights but for the width of WEIGHTS.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Native weights; the model that ships if left out.")] = None,
    upstream: Annotated[bool, typer.Option("--upstream", help="A row of upstream's formulas in PyTorch.")] = False,
    runs: Annotated[int, typer.Option(min=3, help="Timed calls of each.")] = 30,
    seconds: Annotated[float, typer.Option(min=1, help="After which the rounds of one table end early.")] = 60,
    starts: Annotated[int, typer.Option(min=1, help="Processes of each: cold starts, and lgnet inpaint.")] = 3,
    images: Annotated[int, typer.Option(min=1, help="Photos for `lgnet inpaint`, at most.")] = 40,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Out = None,
    verbose: Verbose = False,
) -> None:
    """Cold start, latency, images/s, memory and agreement of every back end, measured in turn."""
    from lgnet_cli.benchmarks.latency import Options, names, numbers
    from lgnet_cli.benchmarks.report import run_latency

    widths = numbers(width) if width else ()
    asked = Options(names(backend), numbers(batch), numbers(size, 256), widths, weights, upstream, runs, seconds,
                    starts, images)  # fmt: skip
    run_latency(asked, json, out, _command())


@app.command(epilog="Example:  lgnet bench pipeline --images 2000")
def pipeline(
    images: Annotated[int, typer.Option(min=1, help="JPEGs of 512 x 384, made for the purpose.")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that both run, in turn.")] = 3,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Crops a call of the engine.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Verbose = False,
) -> None:
    """Images a second with an engine that does nothing, beside a loop that only decodes and encodes."""
    from lgnet_cli.benchmarks.pipeline import main

    main(images, rounds, batch, json)


@app.command(epilog="Example:  lgnet bench find --images photos/ --finder text,dust")
def find(
    images: Annotated[Path, typer.Option(help="Folder of photos, walked recursively.")],
    finder: Annotated[str, typer.Option(help="all, or of text, constant, dust and scratches, with commas.")] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many photos.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is planted.")] = 0,
    dilate: Annotated[int, typer.Option(min=0, max=64, help="Grow what was found by this many pixels.")] = 2,
    sensitivity: Annotated[float, typer.Option(min=0.1, max=10, help="As `lgnet masks find` takes it.")] = 1.0,
    fill: Annotated[bool, typer.Option("--fill", help="Fill the photos too, by found and by true masks.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    verbose: Verbose = False,
) -> None:
    """Plant faults of known place into photos, find them, and count pixels."""
    from lgnet_cli.benchmarks.find import run_find

    run_find(images, finder, limit, seed, dilate, sensitivity, fill, json)


def _command() -> list[str]:
    return ["lgnet", *sys.argv[1:]]
