"""`lgnet train`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .shared import Verbose


class Preset(str, Enum):
    celebahq = "celebahq"
    places2 = "places2"
    paris = "paris"
    small = "small"


class Device(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def train(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run: weights, state, curves, pictures.")],
    images: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Folder, list of paths (.txt), or shards-{000..099}.tar."),
    ] = None,
    masks: Annotated[str | None, typer.Option(metavar="PLACE", help="White = hole; made up if left out.")] = None,
    val_images: Annotated[str | None, typer.Option(metavar="PLACE", help="Photos to measure on.")] = None,
    val_masks: Annotated[str | None, typer.Option(metavar="PLACE", help="Their holes; made up if left out.")] = None,
    preset: Annotated[
        Preset, typer.Option(help="The authors' recipe for one of their sets, or the small model's.")
    ] = Preset.small,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings, such as a run's config.toml.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting of config.toml; repeatable.")
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Weights to start from: native, or a published folder.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in OUT stopped.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser, instead of the preset's.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step on each process.")] = None,
    perceptual: Annotated[
        str | None, typer.Option(help="Feature network of the losses: vgg16, st-vgg16, st-alexnet or none.")
    ] = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Where vgg16-397923af.pth is.")] = None,
    device: Annotated[Device, typer.Option()] = Device.auto,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that decode; chosen if left out.")] = None,
    published: Annotated[bool, typer.Option("--published", help="Write upstream's three files too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train the three stages.

    On many GPUs:  torchrun --nproc-per-node 8 $(which lgnet) train ...
    """
    from lgnet_cli.training.run import run

    given = {"images": images, "masks": masks, "val_images": val_images, "val_masks": val_masks, "steps": steps,
             "batch": batch, "perceptual": perceptual}  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    run(
        out, preset.value, config, options, set_ or [], resume=resume, init=init, device=device.value, workers=workers,
        weights_dir=weights_dir, published=published, quiet=quiet,
    )  # fmt: skip
