"""Weights on disk: upstream's three pickled files, and the native format, one safetensors file that describes itself.

Both are untrusted input: nothing in them is executed, and every entry is held against the network before it is used.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from lgnet_cli.atomic import replacing
from lgnet_cli.errors import ModelError
from lgnet_cli.weights.header import FORMAT, read_header

from .lgnet import LGNet
from .published import module_names

MAX_WIDTH = 512
"""Eight times the paper's; a file that claims more is broken, and is refused before memory is asked for."""

State = dict[str, Tensor]


def load(path: Path) -> LGNet:
    """Read native weights, stored in half or full precision, as a float32 module in evaluation mode.

    Raises:
        ModelError: the file is missing, is not native lgnet weights, or does not hold exactly this network's entries.
    """
    header = read_header(path)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors: {error}") from error
    return _module({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, header.width, str(path))


def save(model: LGNet, path: Path, provenance: dict[str, str], *, half: bool = False) -> None:
    """Write native weights with their width and provenance, whole or not at all.

    With `half`, convolution weights are stored as float16; BatchNorm entries and biases stay float32, for there the
    range of half is too small and the saving nothing.
    """
    state = {k: v.half() if half and v.dim() == 4 else v for k, v in model.state_dict().items()}
    state = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    metadata = {"format": FORMAT, "width": str(model.width), "provenance": json.dumps(provenance)}
    with replacing(path) as temporary:
        temporary.write_bytes(_in_order(to_bytes(state, metadata)))


def _in_order(data: bytes) -> bytes:
    """A safetensors file whose header is always the same for the same contents: it has metadata in any order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # numbers begin at a multiple of eight
    return len(raw).to_bytes(8, "little") + raw + data[8 + length :]


def load_published(directory_or_prefix: Path | str) -> LGNet:
    """Read upstream's trio `<epoch>_net_G1.pth`, `_net_G2.pth`, `_net_G3.pth` as a module in evaluation mode.

    Args:
        directory_or_prefix: a folder (its `latest` trio, or its only one), or the files' common start, such as
            `checkpoints/places2/latest`.

    Raises:
        ModelError: a file is missing or is no plain state dict, or an entry is missing, extra or of another shape.
    """
    state: State = {}
    files = published_files(directory_or_prefix)
    for (part, modules), path in zip(module_names().items(), files, strict=True):
        state |= _renamed(_unpickled(path), modules, f"{path} (net {part})")
    return _module(state, _width(state, files[0]), str(files[0].parent))


def published_files(directory_or_prefix: Path | str) -> list[Path]:
    """The three files' paths, G1 to G3. Raises ModelError when they are not all there, or several trios are."""
    start = Path(directory_or_prefix)
    prefix = _only_epoch(start) if start.is_dir() else start.with_name(start.name.removesuffix("_net"))
    files = [prefix.with_name(f"{prefix.name}_net_{part}.pth") for part in ("G1", "G2", "G3")]
    for file in files:
        if not file.is_file():
            raise ModelError(f"{file}: no such file; a published model is three files, *_net_G1.pth to *_net_G3.pth")
    return files


def save_published(model: LGNet, directory: Path, epoch: str = "latest") -> None:
    """Write upstream's trio `<epoch>_net_G1.pth` to `_net_G3.pth`, as upstream's code reads it."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    for part, modules in module_names().items():
        theirs = {ours: name for name, ours in modules.items()}
        split = {key: key.rpartition(".") for key in state}
        renamed = {f"{theirs[m]}.{leaf}": state[key] for key, (m, _, leaf) in split.items() if m in theirs}
        with replacing(directory / f"{epoch}_net_{part}.pth") as temporary:
            torch.save(renamed, temporary)


def provenance_of(files: list[Path]) -> dict[str, str]:
    """{"source <name>": SHA-256} for files that weights were imported from."""
    return {f"source {file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _only_epoch(folder: Path) -> Path:
    epochs = {file.name.removesuffix("_net_G1.pth") for file in folder.glob("*_net_G1.pth")}
    if "latest" in epochs or len(epochs) == 1:
        return folder / ("latest" if "latest" in epochs else epochs.pop())
    if not epochs:
        raise ModelError(f"{folder}: holds no *_net_G1.pth; is this the folder of a published LGNet model?")
    raise ModelError(
        f"{folder}: holds several models: {', '.join(sorted(epochs))}",
        mend=f"name one by its start, such as {folder / max(epochs)}",
    )


def _unpickled(path: Path) -> State:
    """A pickled state dict, without running what a pickle can run."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can end in nearly any error: IndexError, AssertionError, struct.error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: refused, not a plain PyTorch state dict: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: holds a {type(state).__name__} of other things than tensors, not a state dict")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _renamed(state: State, modules: dict[str, str], where: str) -> State:
    """Upstream's entries under our names; an entry of a module we do not know is an error, not a shrug."""
    renamed = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module not in modules:
            raise ModelError(f"{where}: extra entry {key!r}, which LGNet does not have")
        renamed[f"{modules[module]}.{leaf}"] = value
    return renamed


def _width(state: State, path: Path) -> int:
    """The base width is how many channels the first convolution gives."""
    first = state.get("coarse.down.0.conv.weight")
    if first is None or first.dim() != 4:
        raise ModelError(f"{path}: missing entry 'model.model.0.weight', which tells the width")
    return first.shape[0]


def _module(state: State, width: int, where: str) -> LGNet:
    """`state` in a network of `width`, every entry accounted for."""
    if not 1 <= width <= MAX_WIDTH:
        raise ModelError(f"{where}: claims base width {width}; 1 to {MAX_WIDTH} are possible")
    with torch.device("meta"):  # shapes without memory: the file is not trusted yet
        model = LGNet(width)
    _check_entries(state, model.state_dict(), where)
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(True)


def _check_entries(state: State, expected: State, where: str) -> None:
    """Raise ModelError naming, in upstream's words too, an entry that is missing, extra, misshaped or not finite."""
    upstream = {ours: f"{theirs} of net {part}" for part, m in module_names().items() for theirs, ours in m.items()}

    def named(key: str) -> str:
        module, _, leaf = key.rpartition(".")
        return f"{key!r} ({leaf} of upstream's {upstream[module]})" if module in upstream else repr(key)

    for key in expected.keys() - state.keys():
        raise ModelError(f"{where}: missing entry {named(key)}")
    for key in state.keys() - expected.keys():
        raise ModelError(f"{where}: extra entry {named(key)}, which LGNet does not have")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise ModelError(
                f"{where}: entry {named(key)} has shape {tuple(value.shape)}, expected {tuple(expected[key].shape)}"
            )
        if not torch.isfinite(value).all():
            raise ModelError(f"{where}: entry {named(key)} holds NaN or infinity; the training diverged")
