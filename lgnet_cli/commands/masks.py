"""`lgnet masks`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgnet_cli.errors import UsageError

from .shared import Verbose

if TYPE_CHECKING:
    from lgnet_cli.finders.options import FindOptions

app = typer.Typer(help="Find masks in photos, or make some up.", no_args_is_help=True, rich_markup_mode=None)

Find = Annotated[
    list[str] | None,
    typer.Option(
        "--find",
        metavar="FINDER",
        help="text, constant, dust, scratches, color:#rrggbb~TOLERANCE or command:'CMD {image} {mask}'; repeatable.",
    ),
]
Within = Annotated[
    str | None, typer.Option(metavar="L,T,R,B", help="Look there alone: pixels or percent, such as 60%,85%,100%,100%.")
]
TextMatching = Annotated[str | None, typer.Option(metavar="REGEX", help="Take text that reads so; dates, say.")]
Sensitivity = Annotated[float, typer.Option(min=0.1, max=10, help="Of text, dust and scratches: above 1 finds more.")]
CommandTimeout = Annotated[float, typer.Option(min=0.1, help="Seconds that command: may take for a photo.")]
MaxFound = Annotated[
    str, typer.Option(metavar="PERCENT", help="A photo of which more is found fails: something is wrong there.")
]


@app.command(epilog="Example:  lgnet masks find photos/ --find text --within 50%,80%,100%,100% -o masks/")
def find(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A folder (walked), a file, or a quoted glob.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the masks, laid out as IMAGES.")],
    find: Find = None,
    within: Within = None,
    text_matching: TextMatching = None,
    sensitivity: Sensitivity = 1.0,
    command_timeout: CommandTimeout = 60,
    max_found: MaxFound = "30%",
    dilate: Annotated[int, typer.Option(min=0, max=512, help="Grow every hole by this many pixels.")] = 2,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images unread.")] = 500_000_000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Find again what is found already.")] = False,
    verbose: Verbose = False,
) -> None:
    """Find what is to be repaired and write it as masks, white = hole. Without --find: text.

    OUT/lgnet-report.jsonl says of every image what was found where; a second run does what is missing.
    """
    from lgnet_cli.finding import find_masks

    asked = options(find or ["text"], within, text_matching, sensitivity, command_timeout, max_found, dilate)
    assert asked
    find_masks(images, out, asked, overwrite, max_pixels)


def options(
    find: list[str] | None, within: str | None, text_matching: str | None, sensitivity: float, command_timeout: float,
    max_found: str, dilate: int | None,
) -> "FindOptions | None":  # fmt: skip
    """The options of `--find` as finders take them; None without it. Raises UsageError."""
    from lgnet_cli.finders.options import FindOptions

    if not find:
        return None
    grown = 2 if dilate is None else dilate
    return FindOptions(tuple(find), within, text_matching, sensitivity, command_timeout, share(max_found), grown)


def share(text: str) -> float:
    """`30%` or `30` as 0.3. Raises UsageError."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = -1
    if not 0 < number <= 100:
        raise UsageError(f"--max-found {text}: expected a percentage above 0, such as 30%")
    return number / 100


@app.command(epilog="Example:  lgnet masks make -n 600 --size 512 -o masks/")
def make(
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write 00000.png and on to.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 12000,
    size: Annotated[int, typer.Option(min=32, max=8192, help="Side in pixels.")] = 512,
    buckets: Annotated[
        str, typer.Option(help="Percent of holes: paper (1-10,10-20 ... 50-60), or a list such as 5-15,15-30.")
    ] = "paper",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same masks.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Make up masks, white = hole, laid out as NVIDIA's test set.

    Bucket after bucket, in file order; the first half of each does not touch the border.
    """
    from lgnet_cli.training.masks import write_masks

    write_masks(out, count, size, buckets, seed)
