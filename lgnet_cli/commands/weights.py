"""`lgnet weights`."""

from pathlib import Path
from typing import Annotated

import typer

from .shared import Verbose

app = typer.Typer(help="Import, export and look at weights.", no_args_is_help=True, rich_markup_mode=None)
Notes = Annotated[list[str] | None, typer.Option("--note", help="Provenance to store, as KEY=VALUE; repeatable.")]


@app.command("import", epilog="Example:  lgnet weights import checkpoints/places2 -o places2.safetensors")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder of latest_net_G1.pth to _G3.pth, or the files' common start.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The safetensors file to write.")],
    half: Annotated[bool, typer.Option("--half", help="Store convolutions in 16 bits: half the size.")] = False,
    note: Notes = None,
    verbose: Verbose = False,
) -> None:
    """Turn a published model's three files into one native file."""
    from lgnet_cli.weights.commands import import_published

    import_published(source, out, half, note or [])


@app.command(epilog="Example:  lgnet weights export places2.safetensors -o models/")
def export(
    weights: Annotated[Path, typer.Argument(help="Native weights, a published model's folder, or a run's.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder for both files.")],
    name: Annotated[str | None, typer.Option(help="Their name; WEIGHTS' own if left out.")] = None,
    note: Notes = None,
    verbose: Verbose = False,
) -> None:
    """Write NAME.safetensors (16 bits) and NAME.onnx, which run together where PyTorch is not installed."""
    from lgnet_cli.weights.commands import export_model

    export_model(weights, out, name, note or [])


@app.command(epilog="Example:  lgnet weights show places2.safetensors")
def show(
    file: Annotated[Path | None, typer.Argument(help="Native weights; the model that ships if left out.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Verbose = False,
) -> None:
    """Width, parameters, hash and provenance of a weights file."""
    from lgnet_cli.weights.commands import show_weights

    show_weights(file, json)


@app.command("list", epilog="Example:  lgnet weights list models/")
def list_(
    folder: Annotated[Path, typer.Argument(help="Where to look besides the package.")] = Path(),
    verbose: Verbose = False,
) -> None:
    """The model that ships, and the native weights in a folder."""
    from lgnet_cli.weights.commands import list_weights

    list_weights(folder)
