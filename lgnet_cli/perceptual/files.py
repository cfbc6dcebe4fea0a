"""Weight files that are not ours to pass on: where they are looked for, and the check before one is read."""

import importlib.metadata
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lgnet_cli.errors import MissingWeights, ModelError
from lgnet_cli.weights.header import sha256


@dataclass(frozen=True)
class WeightFile:
    """A file that is known by its hash."""

    name: str  # or the end of its path, where a package has several of that name
    sha256: str
    get: str  # how to get it, in words that end a sentence
    package: str = ""  # the installed distribution that carries it, if one does


_HUB = "https://download.pytorch.org/models"
_ST = "pip install stlpips-pytorch"
_LPIPS = "pip install --no-deps lpips"  # it asks for torchvision, which may replace torch; its files need neither

VGG16 = WeightFile(
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    f"download {_HUB}/vgg16-397923af.pth",
)
ALEXNET = WeightFile(
    "alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    f"download {_HUB}/alexnet-owt-7be5be79.pth",
)
INCEPTION = WeightFile(
    "weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "download https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
ST_ALEXNET = WeightFile(
    "alex_shift_tolerant.pth",
    "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    _ST,
    "stlpips-pytorch",
)
ST_VGG16 = WeightFile(
    "vgg_shift_tolerant.pth",
    "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    _ST,
    "stlpips-pytorch",
)
LPIPS_ALEX_HEADS = WeightFile(
    "v0.1/alex.pth",
    "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    _LPIPS,
    "lpips",
)
LPIPS_VGG_HEADS = WeightFile(
    "v0.1/vgg.pth",
    "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    _LPIPS,
    "lpips",
)


def find(file: WeightFile, folder: Path | None = None) -> Path:
    """Where `file` lies: in `folder`, in $TORCH_HOME/hub/checkpoints, or in the package that carries it.

    Raises:
        MissingWeights: in none of them.
        ModelError: a file of that name is there, but its hash is another.
    """
    places = [*([folder] if folder else []), _torch_hub()]
    found = next((p / file.name for p in places if (p / file.name).is_file()), None) or _packaged(file)
    if found is None:
        looked = ", ".join(map(str, places))
        raise MissingWeights(
            f"{file.name} is missing: looked in {looked}", mend=f"{file.get}" + _into(folder, file.package)
        )
    if sha256(found) != file.sha256:
        raise ModelError(f"{found}: not the published file, its SHA-256 is another", mend=f"delete it, then {file.get}")
    return found


def read(file: WeightFile, folder: Path | None = None) -> dict[str, Tensor]:
    """The state dict in `file`, on the CPU. Raises as `find` does, and ModelError when it is no plain state dict."""
    path = find(file, folder)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: no plain state dict")
    return state


def _torch_hub() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"


def _packaged(file: WeightFile) -> Path | None:
    """Read out of the installed package's list of files: importing the package would ask for what it does not need."""
    try:
        listed = importlib.metadata.files(file.package) if file.package else None
    except importlib.metadata.PackageNotFoundError:
        return None
    located = [Path(str(path.locate())) for path in listed or [] if path.as_posix().endswith(f"/{file.name}")]
    return next((path for path in located if path.is_file()), None)


def _into(folder: Path | None, package: str) -> str:
    return "" if package else f" into {folder or _torch_hub()}"
