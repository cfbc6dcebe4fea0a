"""Everything that decides what a run computes, in one place: presets, the run's own `config.toml`, and options."""

import dataclasses
import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from lgnet_cli.errors import UsageError
from lgnet_cli.spec import SIZE_MULTIPLE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


LAST = "last.pt"
"""The file in a run's folder that it goes on from."""

Perceptual = Literal["vgg16", "st-vgg16", "st-alexnet", "none"]


@dataclass(frozen=True)
class Config:
    """The defaults are upstream's recipe (`train.py` and `models/` of the authors' repository), field by field.

    What upstream does not have is off by default, and says so.
    """

    # Where the data is. Empty: none given.
    images: str = ""  # folder, list file (.txt), or shards (.tar, with {000..099} if many)
    masks: str = ""  # folder; empty: made up, seeded, a bucket at a time
    val_images: str = ""  # as images; empty: the first of the training images, which measures fit, not quality
    val_masks: str = ""  # folder, used in sorted order; empty: made up

    # What the network sees
    width: int = 64  # base width, channels
    size: int = 256  # side of what it is trained on, pixels
    framing: Literal["squash", "crop"] = "squash"  # whole photo to a square; or (not upstream) a random square of it
    flip: bool = True  # left-right, every second time
    batch: int = 4  # images a step, on each process
    accumulate: int = 1  # batches whose gradients make one step; not upstream

    # How long, how fast
    epochs: int = 200  # passes over the images
    steps: int = 0  # of the optimiser; 0: as `epochs` says
    learning_rate: float = 2e-4  # Adam's
    beta1: float = 0.5  # Adam's
    beta2: float = 0.999  # Adam's
    warmup: int = 0  # steps over which the rate rises from zero; not upstream
    decay_from: float = 0.5  # share of the run after which the rate falls to zero
    decay: Literal["linear", "cosine"] = "linear"  # how it falls
    clip_gradient: float = 0.0  # largest L2 norm of all gradients; 0: as they are; not upstream
    ema: float = 0.0  # decay a step of the averaged weights that are validated and saved; 0: none; not upstream

    # Losses. The first two for each stage's raw output, the next three for stages L and G
    valid: float = 1.0  # weight of l1 over known pixels
    hole: float = 6.0  # weight of l1 over holes
    perceptual_weight: float = 0.05  # of feature differences
    style: float = 120.0  # weight of Gram differences
    tv: float = 0.1  # weight of total variation
    adversarial: float = 0.1  # weight of LSGAN; 0: no discriminator
    texture_from: float = 0.0  # share of the run before which the last four rest; not upstream
    perceptual: Perceptual = "vgg16"  # the feature network of perceptual and style losses
    texture_size: int = 0  # pixels: side of a random crop that it and the discriminator see; 0: all; not upstream
    imagenet_normalisation: bool = False  # of VGG16's input, which it was trained with; not upstream
    judged: Literal["coarse", "result"] = "coarse"  # by the discriminator: NetC, merged; or the result (not upstream)

    # Arithmetic. auto: bf16 and channels-last on CUDA, float32 and contiguous on a CPU, where both were slower
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"  # fp16 with a loss scaler; upstream: fp32
    layout: Literal["auto", "channels-last", "contiguous"] = "contiguous"
    compile: bool = False  # torch.compile; not upstream
    sync_batchnorm: bool = False  # BatchNorm over all processes, CUDA only; not upstream

    # What is kept and how often
    seed: int = 0  # of initialisation, order, crops and made-up masks
    log_every: int = 20  # steps
    save_every: int = 500  # steps
    validate_every: int = 1000  # steps
    val_count: int = 96  # images
    keep_best: int = 2  # weights files


_BETTER = Config(  # upstream's weak spots mended
    framing="crop", ema=0.999, imagenet_normalisation=True, judged="result", precision="auto", layout="auto"
)

PRESETS = {
    # The authors' code has one recipe; their three sets differ in data alone.
    "celebahq": Config(),
    "places2": Config(),
    "paris": Config(),
    # The model that ships: few steps on a CPU. The texture losses rest to the end: with so few photos and steps they
    # drew a lattice into plain holes. To have them, texture_from = 0.7, say. ST-AlexNet's features are smaller than
    # VGG16's, their weights larger.
    "small": dataclasses.replace(
        _BETTER, width=16, batch=8, steps=12_000, learning_rate=4e-4, decay="cosine", decay_from=0.1, warmup=50,
        clip_gradient=1.0, texture_from=1.0, texture_size=96, perceptual="st-alexnet", perceptual_weight=2.0,
        style=1200.0,
    ),
}  # fmt: skip


def from_options(preset: str, file: Path | None, options: dict[str, Any]) -> Config:
    """A preset, changed by a config file, changed by options. Raises UsageError: no such field, or value."""
    if preset not in PRESETS:
        raise UsageError(f"no preset is called {preset!r}", mend=f"there are: {', '.join(PRESETS)}")
    values = dataclasses.asdict(PRESETS[preset])
    for where, given in ((str(file), read_toml(file) if file else {}), ("options", options)):
        values |= {name: _typed(name, value, where) for name, value in given.items()}
    return checked(Config(**values))


def parsed(pairs: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` options as fields; values as TOML writes them, quotes around words may be left out."""
    given = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r}: expected KEY=VALUE")
        try:
            given[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            given[name.strip()] = text
    return given


def read_toml(file: Path) -> dict[str, Any]:
    """Raises UsageError: no such file, or not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as a config: {error}") from error


def to_toml(config: Config) -> str:
    """The whole config, which `read_toml` reads back as it was."""
    return "".join(f"{field.name} = {json.dumps(getattr(config, field.name))}\n" for field in fields(config))


def checked(config: Config) -> Config:
    """`config`, if every value is possible. Raises UsageError that names the first that is not."""
    for name, least in {"width": 1, "batch": 1, "accumulate": 1, "log_every": 1, "save_every": 1, "validate_every": 1,
                        "val_count": 1, "epochs": 1, "steps": 0, "warmup": 0, "keep_best": 0, "texture_size": 0,
                        "seed": 0}.items():  # fmt: skip
        if getattr(config, name) < least:
            raise UsageError(f"{name} = {getattr(config, name)}: must be at least {least}")
    for name in ("ema", "decay_from", "texture_from"):
        if not 0 <= getattr(config, name) <= 1:
            raise UsageError(f"{name} = {getattr(config, name)}: a share, from 0 to 1")
    if config.size < SIZE_MULTIPLE or config.size % SIZE_MULTIPLE:
        raise UsageError(f"size = {config.size}: must be a multiple of {SIZE_MULTIPLE}")
    if config.perceptual == "none" and (config.perceptual_weight or config.style):
        return dataclasses.replace(config, perceptual_weight=0.0, style=0.0)
    return config


def _typed(name: str, value: Any, where: str) -> Any:
    """`value` if it is one that the field may have."""
    hints = get_type_hints(Config)
    if name not in hints:
        raise UsageError(f"{where}: there is no setting {name!r}", mend=f"there are: {', '.join(hints)}")
    wanted = hints[name]
    if get_args(wanted):
        if value not in get_args(wanted):
            raise UsageError(f"{where}: {name} = {value!r}", mend=f"it can be: {', '.join(get_args(wanted))}")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise UsageError(f"{where}: {name} = {value!r}: expected {wanted.__name__}")
    return value
