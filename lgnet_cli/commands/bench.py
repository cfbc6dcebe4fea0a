"""`lgnet bench`."""

from typing import Annotated

import typer

from .shared import Verbose

app = typer.Typer(help="Measure lgnet on this machine.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def top() -> None:
    pass  # so that a group of one command is a group


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
