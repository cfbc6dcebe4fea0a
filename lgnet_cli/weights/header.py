"""What a weights file says of itself, read without PyTorch."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgnet_cli.errors import ModelError

FORMAT = "lgnet-1"
"""The native format's name, in the safetensors metadata."""

MAX_HEADER = 1 << 20
"""Bytes. The network has 300 entries, about 40 kB of header; more is no file of ours and is not read."""


class NotOurs(ModelError):
    """A file of another kind."""


@dataclass(frozen=True)
class Header:
    """The self-description of native weights."""

    width: int  # base width: channels of the first convolution
    parameters: int  # learned numbers, BatchNorm's running statistics not counted
    stored_as: str  # how the convolutions are stored: F16 or F32
    provenance: dict[str, str]  # where they come from, in the words of whoever made them
    extents: dict[str, tuple[int, int]]  # where each entry's bytes lie in the file: (offset, length)


def read_header(path: Path) -> Header:
    """Raises ModelError when `path` is missing or is not native lgnet weights."""
    entries, start = _read_json(path)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise NotOurs(f"{path}: a safetensors file, but not lgnet weights", mend=_HOW_TO_IMPORT)
    try:
        end = max((start + e["data_offsets"][1] for e in entries.values()), default=start)
        if path.stat().st_size != end:
            said = f"{path}: cannot be read as safetensors: cut off or damaged; it should have {end:,} bytes"
            raise ModelError(said, mend="copy it again")
        return Header(
            width=int(metadata["width"]),
            parameters=sum(math.prod(e["shape"]) for name, e in entries.items() if _learned(name)),
            stored_as=str(entries["coarse.down.0.conv.weight"]["dtype"]),
            provenance={str(k): str(v) for k, v in json.loads(metadata["provenance"]).items()},
            extents={name: _extent(start, *e["data_offsets"]) for name, e in entries.items()},
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: lgnet weights with a broken header ({error!r})", mend=_HOW_TO_IMPORT) from error


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


_HOW_TO_IMPORT = "import a published model with: lgnet weights import FOLDER -o model.safetensors"


def _read_json(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, 8 bytes of length (little endian) and JSON, and where the numbers begin."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            raw = file.read(length) if length <= MAX_HEADER else b""
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotOurs(f"{path}: not a safetensors file", mend=_HOW_TO_IMPORT) from error
    if not isinstance(entries, dict):
        raise NotOurs(f"{path}: not a safetensors file", mend=_HOW_TO_IMPORT)
    return entries, 8 + length


def _extent(start: int, begin: int, end: int) -> tuple[int, int]:
    return start + begin, end - begin


def _learned(name: str) -> bool:
    return not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
