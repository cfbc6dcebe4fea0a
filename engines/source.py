"""What a user calls WEIGHTS, as a model or as a graph."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx

from lgnet_cli.errors import ModelError, UsageError
from lgnet_cli.model import LGNet, load, load_published
from lgnet_cli.model.checkpoint import published_files
from lgnet_cli.spec import FILLED, IMAGE, MASK
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256

from .export import AROUND_HOLES, export_onnx
from .onnxruntime import OnnxRuntimeEngine
from .plan import Precision, Profile
from .torch import fill_with
from .verify import Fill, one_by_one

GPU_SLICES = 1
"""Attention in one piece: GPU compilers fuse it then."""


@dataclass(frozen=True)
class Source:
    """A model to build from, or a graph that was exported before."""

    name: str  # the file's name, without its folder
    sha256: str  # of the weights, "" where a graph does not say
    model: LGNet | None
    graph: Path | None = None


def open_source(weights: Path | None) -> Source:
    """Native weights, a published model's folder or start, or an exported graph; the model that ships if None.

    Raises ModelError: it is missing, broken, or none of these.
    """
    path = weights or DEFAULT_WEIGHTS
    if path.suffix == ".onnx":
        return Source(path.name, _described(path)["lgnet.weights_sha256"], None, path)
    if path.suffix == ".safetensors":
        return Source(path.name, sha256(path), load(path))
    digests = "".join(sha256(file) for file in published_files(path))
    return Source(path.name, hashlib.sha256(digests.encode()).hexdigest(), load_published(path))


def graph_for(source: Source, precision: Precision, profile: Profile, folder: Path, *, turing: bool = False) -> Path:
    """The source's graph for a GPU, exported into `folder`, or as it came. Raises UsageError where it does not fit."""
    if source.model:
        path = folder / f"{Path(source.name).stem}-{precision}.onnx"
        export_onnx(
            source.model, path, precision=precision, size=profile.fixed_size, slices=GPU_SLICES, windows=False,
            turing=turing, weights_sha256=source.sha256,
        )  # fmt: skip
        return path
    assert source.graph
    described = _described(source.graph)
    if described["lgnet.local"] == AROUND_HOLES:
        raise UsageError(
            f"{source.graph}: a graph for CPUs, where sizes depend on the mask; TensorRT does not take that",
            mend="build from its weights",
        )
    made = described["lgnet.size"]
    if made.isdigit() and profile.sizes != made:
        raise UsageError(
            f"{source.graph}: a graph of size {made}, not {profile.sizes}",
            mend="build from its weights, or export it with another --size: lgnet build-engine WEIGHTS --backend onnx",
        )
    return source.graph


def reference(source: Source) -> Fill:
    """What its engines are held against: the FP32 PyTorch model, or ONNX Runtime on what is only a graph."""
    if source.model:
        return one_by_one(fill_with(source.model))
    assert source.graph
    return one_by_one(OnnxRuntimeEngine(source.graph).fill)


def _described(path: Path) -> dict[str, str]:
    """What a graph of ours says of itself."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors share no base class with the file system's
        raise ModelError(f"{path}: cannot be read as ONNX: {str(error).partition(chr(10))[0]}") from error
    names = {value.name for value in [*model.graph.input, *model.graph.output]}
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if names != {IMAGE, MASK, FILLED}:
        raise ModelError(
            f"{path}: a graph, but not one of lgnet's", mend="make one with: lgnet build-engine --backend onnx"
        )
    return {"lgnet.size": "", "lgnet.weights_sha256": "", "lgnet.local": ""} | entries
