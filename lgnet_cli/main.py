"""The command line. Bodies only translate, heavy imports happen inside them; errors become exit codes in one place."""

import signal
import sys
import traceback
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .commands import bench, training, weights
from .commands import engine as engines
from .commands import masks as masks_
from .commands.shared import DrawnOn, MaskSource, Polarity, Verbose
from .errors import Interrupted, LgnetError, UsageError
from .telemetry import switch_off

EXIT_CODES = """Exit codes: 0 all done, 1 unexpected, 2 usage, 3 some images failed, 4 nothing to do or nothing matched,
5 model or engine unusable, 6 training stopped, 130 interrupted."""


class Commands(typer.core.TyperGroup):
    """Ctrl-C becomes one of our errors, so that it gets its exit code like every other."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


app = typer.Typer(
    cls=Commands,
    help="Repair folders of photos: scratches, text, logos, unwanted objects, missing parts.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing it with rich doubles the time of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(
    "train", epilog="Example:  lgnet train --images photos/ -o runs/a     go on:  lgnet train --resume -o runs/a"
)(training.train)
app.add_typer(masks_.app, name="masks")
app.add_typer(weights.app, name="weights")
app.add_typer(bench.app, name="bench")
app.command("build-engine", epilog="Example:  lgnet build-engine places2.safetensors --fp16 -o places2.plan")(
    engines.build_engine
)
app.command(epilog="Example:  lgnet doctor     on a GPU's machine:  lgnet doctor --gpu-check")(engines.doctor)


class Hd(str, Enum):
    crop = "crop"
    resize = "resize"
    original = "original"


class Refinement(str, Enum):
    texture = "texture"
    tone = "tone"
    none = "none"


class Format(str, Enum):
    jpg = "jpg"
    png = "png"
    webp = "webp"
    tiff = "tiff"
    bmp = "bmp"


FORMATS = {Format.jpg: "JPEG", Format.png: "PNG", Format.webp: "WEBP", Format.tiff: "TIFF", Format.bmp: "BMP"}


def main() -> None:
    """The `lgnet` command."""
    switch_off()
    try:
        _check_none_is_empty(sys.argv[1:])
        app()
    except Exception as error:
        if "--verbose" in sys.argv:
            traceback.print_exc()
        sys.exit(_told(error))


def _check_none_is_empty(arguments: list[str]) -> None:
    """An empty argument is a script's variable that has no value; as a path it would mean the current folder."""
    for number, argument in enumerate(arguments, 1):
        if not argument.strip() or (argument.startswith("--") and argument.endswith("=")):
            raise UsageError(f"argument {number} is empty: {argument!r}", mend="for the current folder, type a dot")


def _told(error: Exception) -> int:
    """Say it; the exit code. Apart, for a variable of `main` would keep the error, and all that its traceback holds."""
    ours = named(error)
    print(f"lgnet: {ours}", file=sys.stderr)
    return ours.exit_code


def named(error: Exception) -> LgnetError:
    """An error as one of ours. Another kind is a bug, unless a signal came: an import that it interrupts may say so."""
    from .interruption import was_interrupted

    if isinstance(error, LgnetError):
        return error
    if was_interrupted():
        return Interrupted("interrupted")
    return LgnetError(f"unexpected {type(error).__name__}: {error}", mend="please report it with --verbose")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    pass


@app.command(
    epilog="Example:  lgnet inpaint photos/ masks/ -o repaired/     one photo:  lgnet inpaint a.jpg mask.png -o b.jpg"
)
def inpaint(
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="A folder (walked), a file, or a quoted glob; s3:// and such too.")
    ],
    masks: Annotated[
        str | None,
        typer.Argument(metavar="[MASKS]", help="A folder matched by path and stem, or one mask for all."),
    ] = None,
    out: Annotated[str, typer.Option("-o", "--out", help="Folder for the results, laid out as IMAGES.")] = ...,  # type: ignore[assignment]
    find: masks_.Find = None,
    within: masks_.Within = None,
    text_matching: masks_.TextMatching = None,
    sensitivity: masks_.Sensitivity = 1.0,
    command_timeout: masks_.CommandTimeout = 60,
    max_found: masks_.MaxFound = "30%",
    keep_masks: Annotated[bool, typer.Option("--keep-masks", help="Keep what --find finds in OUT/masks.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Native weights; the model that ships if left out.")] = None,
    engine: Annotated[Path | None, typer.Option(help="A .plan or .onnx of `lgnet build-engine`, not weights.")] = None,
    trust_engine: Annotated[
        bool, typer.Option("--trust-engine", help="Run a plan that its sidecar does not vouch for: plans are code.")
    ] = False,
    backend: Annotated[
        str,
        typer.Option(help="auto, onnxruntime, openvino, torch, torch-cuda, tensorrt, tensorrt-rtx or torch-tensorrt."),
    ] = "auto",
    device: Annotated[int | None, typer.Option(min=0, help="Which GPU, as nvidia-smi counts; the first.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the engine; all if left out.")] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=0, max=256, help="That decode and encode; one a core beside a GPU, else 0: threads do."),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=0, max=1024, help="Crops filled at once; 0: as many as the engine is built for.")
    ] = 0,
    mask_polarity: Annotated[Polarity, typer.Option(help="Which pixels of a mask are filled.")] = Polarity.white_hole,
    mask_threshold: Annotated[int, typer.Option(min=1, max=255, help="From this value on, white.")] = 128,
    mask_from: Annotated[MaskSource, typer.Option(help="alpha: transparent = hole.")] = MaskSource.luminance,
    dilate: Annotated[
        int | None, typer.Option(min=0, max=512, help="Grow every hole by this many pixels; 0, or 2 with --find.")
    ] = None,
    resize_masks: Annotated[bool, typer.Option("--resize-masks", help="Stretch masks of another size.")] = False,
    mask_values: Annotated[
        str, typer.Option(metavar="auto|1,3|#RRGGBB", help="Holes are all that is not black, labels, or colours.")
    ] = "",
    mask_drawn_on: Annotated[
        DrawnOn, typer.Option(help="The photo as shown, or its pixels as stored, before EXIF turns them.")
    ] = DrawnOn.auto,
    hd: Annotated[
        Hd, typer.Option(help="crop: squares around holes; resize: whole photo; original: full size.")
    ] = Hd.crop,
    crop_margin: Annotated[int, typer.Option(min=0, max=4096, help="Least pixels around each group of holes.")] = 64,
    merge_crops: Annotated[
        bool, typer.Option("--merge-crops", help="Join crops that overlap: faster, less detail.")
    ] = False,
    refine: Annotated[
        Refinement, typer.Option(help="texture: copies from around; tone: colours alone; none: the bare network.")
    ] = Refinement.texture,
    seed: Annotated[int, typer.Option(min=0, help="Another number gives another texture, where several fit.")] = 0,
    candidates: Annotated[
        int, typer.Option(min=1, max=20, help="Results of each photo (a.1.png ...), with a page to choose from.")
    ] = 1,
    format: Annotated[Format | None, typer.Option(help="Output format; each input's own if left out.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and lossy WebP.")] = 95,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images unread.")] = 500_000_000,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Do the I-th of N disjoint shares.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Fill on this Ray cluster: a worker a GPU, or some CPUs.")
    ] = None,
    ray_cpus: Annotated[int | None, typer.Option(min=1, help="CPUs of each worker on Ray.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Skip what cannot be matched.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Match and check, fill nothing.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Write OUT/lgnet-report.html: before, after, mask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, show no progress.")] = False,
    verbose: Verbose = False,
) -> None:
    """Fill the holes of every image: where its mask is white.

    Known pixels come back bit for bit in lossless formats. OUT/lgnet-report.jsonl has a line for every image; a
    second run does what is missing.
    """
    # Until there is something to end in good order: in the middle of an import, Ctrl-C would end as an ImportError.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .batch import Job, run_job
    from .device import use_device
    from .places import place

    use_device(device)
    if find and masks:
        raise UsageError("MASKS and --find exclude each other", mend="leave one of them out")
    if not find and not masks and mask_from is not MaskSource.alpha:
        raise UsageError("no MASKS", mend="give a folder or a file, or --find text, or --mask-from alpha")
    run_job(
        Job(
            images, place(masks) if masks else None, place(out), weights,
            engine, trust_engine, backend, threads, processes, batch,
            mask_polarity.value, mask_threshold, mask_from.value, dilate or 0, resize_masks, hd.value, crop_margin,
            merge_crops, refine.value, seed, candidates, FORMATS[format] if format else None, quality, max_pixels,
            _parsed(shard), ray, ray_cpus,
            allow_missing, overwrite, dry_run, report, json, verbose, mask_values, mask_drawn_on.value,
            masks_.options(find, within, text_matching, sensitivity, command_timeout, max_found, dilate), keep_masks,
        )
    )  # fmt: skip


def _parsed(shard: str | None) -> tuple[int, int] | None:
    if shard is None:
        return None
    i, _, n = shard.partition("/")
    if not (i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
        raise UsageError(f"--shard {shard}: expected I/N with I from 1 to N, such as 3/8")
    return int(i), int(n)
