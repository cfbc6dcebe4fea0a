"""`lgnet bench quality`."""

import importlib.util
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lgnet_cli.errors import FileError, MissingBackend, UsageError

from .shared import MaskSource, Polarity, Verbose

SIZE = 256
"""Pixels, the paper's: the default of --size."""


class Reference(str, Enum):
    celebahq = "celebahq"
    places2 = "places2"


def quality(
    images: Annotated[Path, typer.Option(help="Folder of photos, walked recursively.")],
    masks: Annotated[Path | None, typer.Option(help="Folder of masks, matched by path and stem.")] = None,
    generate_masks: Annotated[
        bool, typer.Option("--generate-masks", help="Make masks up, one a photo and bucket.")
    ] = False,
    each_bucket: Annotated[
        bool, typer.Option("--each-bucket", help="Masks of any name: each photo gets one of every bucket.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Whole photos at their own size, masks made up if none are given.")
    ] = False,
    mask_polarity: Annotated[Polarity, typer.Option(help="Which pixels of a mask are filled.")] = Polarity.white_hole,
    mask_from: Annotated[MaskSource, typer.Option(help="alpha: transparent = hole.")] = MaskSource.luminance,
    resize_masks: Annotated[bool, typer.Option("--resize-masks", help="Stretch masks of another size.")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for all figures and some pictures.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Native weights; the model that ships if left out.")] = None,
    engine: Annotated[Path | None, typer.Option(help="An exported graph (.onnx) instead of weights.")] = None,
    backend: Annotated[str, typer.Option(help="One or several with commas, as for lgnet inpaint.")] = "auto",
    against: Annotated[
        list[str] | None,
        typer.Option(help="telea,ns,patchmatch; NAME=FOLDER of results; NAME=FILE.onnx[:WORDS]; repeatable."),
    ] = None,
    reference: Annotated[Reference | None, typer.Option(help="Show the paper's rows on these photos.")] = None,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side at which all is evaluated, pixels.")] = SIZE,
    seed: Annotated[int, typer.Option(min=0, help="Of made-up masks and of PatchMatch.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many photos.")] = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Where the metrics' weight files are.")] = None,
    lpips_vgg: Annotated[bool, typer.Option("--lpips-vgg", help="LPIPS on VGG16 too.")] = False,
    paper_compat: Annotated[
        bool, typer.Option("--paper-compat", help="The network alone, truncated to 8 bits as upstream does.")
    ] = False,
    write_inputs: Annotated[
        Path | None, typer.Option(help="Write photos and masks for other systems here, measure nothing.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=0, max=1000, help="Pictures kept a bucket; photos, for --native.")] = 4,
    workers: Annotated[int | None, typer.Option(min=1, help="Photos at a time; one a CPU if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what OUT holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew where OUT holds figures.")] = False,
    no_intervals: Annotated[bool, typer.Option("--no-intervals", help="Print means alone.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, show no progress.")] = False,
    verbose: Verbose = False,
) -> None:
    """Tables of l1, PSNR, SSIM, FID, LPIPS and more by hole share, in the paper's layout.

    --native measures what people see instead: whole photos, each with an object, a line of text and a scratch as holes;
    one table of ST-LPIPS at full size, texture, tint at the rim and PSNR in the holes, a photo at a time.

    --against an ONNX file: WORDS say what it does not: hole or known (what 1 or 255 in its mask means), and for floats
    unit, signed or byte (0 to 1, -1 to 1, 0 to 255), for its output out-unit, out-signed or out-byte where that
    differs; nchw or nhwc where its sizes are not declared: lama=lama.onnx:hole,unit,out-byte, say.
    """
    if bool(masks) == generate_masks and not (native and not masks):
        raise UsageError("give either --masks DIR or --generate-masks")
    if each_bucket and not masks:
        raise UsageError("--each-bucket takes --masks DIR")
    if native:
        _without_squares({
            "--each-bucket": each_bucket, "--size": size != SIZE, "--reference": reference, "--lpips-vgg": lpips_vgg,
            "--paper-compat": paper_compat, "--workers": workers,
        })  # fmt: skip
    _needs("skimage", "sklearn", "torch")
    from lgnet_cli.benchmarks.document import markdown
    from lgnet_cli.benchmarks.inputs import write_inputs as write_them
    from lgnet_cli.benchmarks.job import QualityJob
    from lgnet_cli.benchmarks.native import run_native
    from lgnet_cli.benchmarks.native_table import native_document
    from lgnet_cli.benchmarks.quality import run_quality
    from lgnet_cli.benchmarks.quality_table import as_json, tables
    from lgnet_cli.benchmarks.report import save_native, save_quality
    from lgnet_cli.imaging.masks import MaskOptions

    options = MaskOptions(mask_polarity.value, source=mask_from.value, resize=resize_masks)
    job = QualityJob(
        images, out, masks, each_bucket, options, weights, engine, tuple(backend.split(",")),
        tuple(against or ()), reference.value if reference else None, size, seed, limit, weights_dir, lpips_vgg,
        paper_compat, resume, overwrite, workers, pictures, json, ("lgnet", *sys.argv[1:]),
    )  # fmt: skip
    if write_inputs:
        print(f"{write_them(job, write_inputs, native=native)} pictures with their masks in {write_inputs}")
        return
    if native:
        found = run_native(job)
        shown = markdown(native_document(found, intervals=not no_intervals))
    else:
        found = run_quality(job)
        shown = tables(found, intervals=not no_intervals)
    if out:
        (save_native if native else save_quality)(found, out)
    print(as_json(found) if json else shown)
    if found["folder"]["failed"]:
        raise FileError(f"{found['folder']['failed']} pictures failed, the first: {found['failed'][0]['error']}")


def _without_squares(given: dict[str, object]) -> None:
    """Raises UsageError for options that only the squares have."""
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} is of the tables of squares: --native does without it", mend="leave one out")


def _needs(*modules: str) -> None:
    if not all(importlib.util.find_spec(module) for module in modules):
        raise MissingBackend(
            "lgnet bench needs more than a base install has", mend="install it with: pip install 'lgnet[bench]'"
        )
