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
from .nvidia.forms import SAID, Form, form_of
from .nvidia.profile import Profile
from .onnxruntime import OnnxRuntimeEngine
from .plan import Precision
from .torch import fill_with
from .verify import Fill, one_by_one

FLOATS = {onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT}

GPU_SLICES = 1
"""Attention in one piece, which is what a fused kernel takes."""


@dataclass(frozen=True)
class Source:
    """A model to build from, or a graph that was exported before."""

    name: str  # the file's name, without its folder
    sha256: str  # of the weights, "" where a graph does not say
    model: LGNet | None
    graph: Path | None = None


@dataclass(frozen=True)
class Described:
    """What a graph says of itself, and how its weights are."""

    size: str  # one side, or which are possible; "" where it does not say
    around_holes: bool
    weights_sha256: str
    precision: Precision  # of its convolutions' weights
    attention: Form
    elsewhere: bool  # some weights lie in other files


def open_source(weights: Path | None) -> Source:
    """Native weights, a published model's folder or start, or an exported graph; the model that ships if None.

    Raises ModelError: it is missing, broken, or none of these.
    """
    path = weights or DEFAULT_WEIGHTS
    if path.suffix == ".onnx":
        return Source(path.name, _described(path).weights_sha256, None, path)
    if path.suffix == ".safetensors":
        model = load(path)
        return Source(path.name, sha256(path), model)
    model = load_published(path)
    digests = "".join(sha256(file) for file in published_files(path))
    return Source(path.name, hashlib.sha256(digests.encode()).hexdigest(), model)


def graph_for(
    source: Source, precision: Precision, profile: Profile, folder: Path, *, attention: Form = "fused"
) -> Path:
    """The source's graph for a GPU, exported into `folder`, or as it came. Raises UsageError where it does not fit.

    `attention` says how attention is to stand in it; see `Form`. In float32 no kernel fuses it, so there it is `float`.
    """
    if source.model:
        path = folder / f"{Path(source.name).stem}-{precision}.onnx"
        form = attention if precision == "fp16" else "float"
        export_onnx(
            source.model, path, precision=precision, size=profile.fixed_size, slices=GPU_SLICES, windows=False,
            attention=form, weights_sha256=source.sha256,
        )  # fmt: skip
        return path
    assert source.graph
    described = _described(source.graph)
    if described.around_holes:
        raise UsageError(
            f"{source.graph}: a graph for CPUs, where sizes depend on the mask; TensorRT does not take that",
            mend="build from its weights",
        )
    if described.elsewhere:
        raise ModelError(f"{source.graph}: reads weights out of other files", mend="build from its weights")
    if described.precision != precision:
        raise UsageError(
            f"{source.graph}: its convolutions are {described.precision}, not {precision}",
            mend=f"build from its weights, or with --{described.precision}",
        )
    if precision == "fp16" and described.attention != attention:
        raise UsageError(
            f"{source.graph}: its attention is {SAID[described.attention]}, not {SAID[attention]}",
            mend=f"build from its weights, or take it as it is: --attention {described.attention}",
        )
    if described.size.isdecimal() and profile.sizes != described.size:
        raise UsageError(
            f"{source.graph}: a graph of size {described.size}, not {profile.sizes}",
            mend="build from its weights, or export it with another --size: lgnet build-engine WEIGHTS --backend onnx",
        )
    return source.graph


def reference(source: Source) -> Fill:
    """What its engines are held against: the FP32 PyTorch model, or ONNX Runtime on what is only a graph."""
    if source.model:
        return one_by_one(fill_with(source.model))
    assert source.graph
    return one_by_one(OnnxRuntimeEngine(source.graph).fill)


def _described(path: Path) -> Described:
    """Raises ModelError: it cannot be read, or is no graph of lgnet's."""
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
    stored = model.graph.initializer
    kinds = {i.data_type for i in stored if len(i.dims) == 4} or {i.data_type for i in stored if i.data_type in FLOATS}
    return Described(
        size=entries.get("lgnet.size", ""),
        around_holes=entries.get("lgnet.local") == AROUND_HOLES,
        weights_sha256=entries.get("lgnet.weights_sha256", ""),
        precision="fp16" if kinds == {onnx.TensorProto.FLOAT16} else "fp32",
        attention=form_of(entries),
        elsewhere=any(i.data_location == onnx.TensorProto.EXTERNAL for i in stored),
    )
