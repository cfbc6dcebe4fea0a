"""`lgnet weights ...`: what each subcommand does and prints."""

import json
from pathlib import Path

from lgnet_cli.errors import MissingBackend, ModelError, UsageError

from . import DEFAULT_WEIGHTS
from .header import NotOurs, read_header, sha256


def import_published(source: Path, out: Path, half: bool, notes: list[str]) -> None:
    """Write the published model `source` as native weights `out`; its files' hashes go into the provenance."""
    need_torch()
    from lgnet_cli.model import load_published, save
    from lgnet_cli.model.checkpoint import provenance_of, published_files

    model = load_published(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(model, out, provenance_of(published_files(source)) | _parsed(notes), half=half)
    show_weights(out, as_json=False)


def export_model(weights: Path, folder: Path, name: str | None, notes: list[str]) -> None:
    """Write the pair of files that runs without PyTorch, from native weights, a published model, or a training run."""
    need_torch()
    from lgnet_cli.engines.export import ship
    from lgnet_cli.model import load, load_published
    from lgnet_cli.model.checkpoint import provenance_of, published_files

    default_name = weights.stem
    if (weights / "weights.safetensors").is_file():  # a run of `lgnet train`
        weights = weights / "weights.safetensors"
    if weights.suffix == ".safetensors":
        model, provenance = load(weights), read_header(weights).provenance
    else:
        model, provenance = load_published(weights), provenance_of(published_files(weights))
    folder.mkdir(parents=True, exist_ok=True)
    ship(model, folder, name or default_name, provenance | _parsed(notes))
    show_weights(folder / f"{name or default_name}.safetensors", as_json=False)


def show_weights(file: Path | None, as_json: bool) -> None:
    """Print what a weights file says of itself, and its hash."""
    path = file or DEFAULT_WEIGHTS
    if path.is_dir():
        raise ModelError(f"{path}: a folder", mend=f"import it first: lgnet weights import {path} -o model.safetensors")
    header = read_header(path)
    facts = {"file": str(path), "width": header.width, "parameters": header.parameters, "stored_as": header.stored_as,
             "bytes": path.stat().st_size, "sha256": sha256(path), "provenance": header.provenance}  # fmt: skip
    if as_json:
        print(json.dumps(facts))
        return
    for key, value in facts.items():
        if key != "provenance":
            print(f"{key:12} {value:,}" if isinstance(value, int) else f"{key:12} {value}")
    for key, text in header.provenance.items():
        print(f"  {key}: {text}")


def list_weights(folder: Path) -> None:
    """Print a line for the model that ships and for each native weights file in `folder`.

    Raises UsageError: no such folder. ModelError, after the lines of all others: a file of ours is broken.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    broken: list[ModelError] = []
    for path in [DEFAULT_WEIGHTS, *sorted(folder.glob("*.safetensors"))]:
        try:
            header = read_header(path)
        except NotOurs:  # safetensors files of others are none of our business
            continue
        except ModelError as error:
            broken.append(error)
            continue
        shipped = "  (ships with lgnet, the default)" if path == DEFAULT_WEIGHTS else ""
        print(f"{path}  width {header.width}, {header.parameters / 1e6:.1f} M parameters{shipped}")
    if broken:
        raise ModelError("; ".join(str(error.args[0]) for error in broken), mend=broken[0].mend)


def _parsed(notes: list[str]) -> dict[str, str]:
    for note in notes:
        if "=" not in note:
            raise UsageError(f"--note {note!r}: expected KEY=VALUE")
    return dict(note.split("=", 1) for note in notes)


def need_torch() -> None:
    """Raises MissingBackend where the `torch` extra is not installed."""
    try:
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingBackend(
            f"this needs PyTorch and ONNX ({error.name} is missing)", mend="install them: pip install 'lgnet[torch]'"
        ) from error
