"""Another system's ONNX file as a method: graphs of (image, mask), and the conventions in use among them.

What a graph declares is taken from it: which input is the mask (by its name, or by its one channel), 8 bits or floats,
the order of the axes, a fixed size. What no graph declares has to be said after a colon: what a mask's 1 means, and the
range of floats. Nothing is guessed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.samples import Sample
from lgnet_cli.errors import FileError, ModelError, UsageError
from lgnet_cli.imaging.masks import Hole
from lgnet_cli.telemetry import switched_off
from lgnet_cli.weights.header import sha256

with switched_off():
    import onnxruntime

Range = Literal["unit", "signed", "byte"]
Axes = Literal["nchw", "nhwc", "nhw"]
Array = NDArray[np.generic]

SCALES: dict[str, tuple[float, float]] = {"unit": (1 / 255, 0.0), "signed": (2 / 255, -1.0), "byte": (1.0, 0.0)}
"""8 bits -> floats: factor and offset."""

WORDS = ("hole", "known", "unit", "signed", "byte", "out-unit", "out-signed", "out-byte", "nchw", "nhwc")
MAX_SIDE = 4096
"""Pixels that a graph may ask for on a side."""

FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
BYTES = "tensor(uint8)"


@dataclass(frozen=True)
class Port:
    """One input or output, as declared and as said."""

    name: str
    dtype: type  # np.uint8, np.float32 or np.float16
    axes: Axes
    size: tuple[int, int] | None  # (height, width) where they are fixed
    range: Range  # of a picture's values; a mask's are 0 and 1 in floats, 0 and 255 in 8 bits


class OnnxMethod:
    """An ONNX file on the CPU."""

    def __init__(self, name: str, file: Path, words: frozenset[str], threads: int | None) -> None:
        """Load `file` and settle its conventions.

        Args:
            name: of the row.
            file: the graph.
            words: of WORDS, what the graph does not declare.
            threads: CPU threads; ONNX Runtime's choice if None.

        Raises:
            ModelError: no graph of (image, mask) -> image.
            UsageError: something is neither declared nor said; the message lists what.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        if not file.is_file():
            raise ModelError(f"{file}: no such file")
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class of their own
            raise ModelError(f"{file}: ONNX Runtime cannot load it: {str(error).partition(chr(10))[0]}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 2 or any(len(port.shape) not in (3, 4) for port in (*inputs, outputs[0])):
            listed = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise ModelError(f"{file}: takes {listed}; only graphs of (image, mask) are run")
        mask = _mask_among(inputs, file)
        missing = [_hole_or_known(words)]
        self._image = _port(inputs[1 - mask], words, _said(words, ""), missing)
        self._mask = _port(inputs[mask], words, "unit", missing)
        self._filled = _port(outputs[0], words, _said(words, "out-") or _said(words, ""), missing)
        if any(missing):
            raise UsageError(
                f"{file}: its convention is not declared: say {'; '.join(dict.fromkeys(filter(None, missing)))}",
                mend=f"after a colon, with commas: {name}={file}:hole,unit",
            )
        self._one_is_hole = "hole" in words
        self.name = name
        said = ",".join(sorted(words))
        self.source = f"{file.name} ({said}), ONNX Runtime {onnxruntime.__version__}, SHA-256 {sha256(file)[:12]}"

    def fill(self, sample: Sample, image: Image) -> Image:
        """At the graph's own size where that is fixed: larger by bicubic, smaller by area, masks by nearest."""
        size = self._image.size or image.shape[:2]
        feed = {
            self._image.name: _shaped(_scaled(_sized(image, size), self._image), self._image),
            self._mask.name: _shaped(self._mask_values(_sized_hole(sample.hole, size)), self._mask),
        }
        try:
            drawn = self._session.run([self._filled.name], feed)[0]
        except Exception as error:  # as above
            raise FileError(f"{self.name}: ONNX Runtime failed: {str(error).partition(chr(10))[0]}") from error
        return _sized(_to_bytes(np.asarray(drawn), self._filled, self.name), image.shape[:2])

    def facts(self, sample: Sample) -> str:
        return ""

    def _mask_values(self, hole: Hole) -> Array:
        ones = hole if self._one_is_hole else ~hole
        return np.asarray(ones * (255 if self._mask.dtype is np.uint8 else 1), self._mask.dtype)


def split(target: str) -> tuple[Path | None, frozenset[str]]:
    """FILE.onnx[:WORD,WORD] -> the file and its words; (None, none) for anything else. Raises UsageError."""
    file, _, said = target.partition(".onnx:") if ".onnx:" in target else (target.removesuffix(".onnx"), "", "")
    if file == target:
        return None, frozenset()
    words = frozenset(said.split(",")) if said else frozenset()
    unknown = sorted(words - set(WORDS))
    if unknown:
        raise UsageError(f"{target}: no such convention: {', '.join(unknown)}", mend=f"there are: {', '.join(WORDS)}")
    return Path(f"{file}.onnx"), words


def _mask_among(inputs: list[onnxruntime.NodeArg], file: Path) -> int:
    """Which of two inputs is the mask: the one whose name says so, or the one with a single channel."""
    named = [i for i, port in enumerate(inputs) if "mask" in port.name.lower()]
    single = [i for i, port in enumerate(inputs) if len(port.shape) == 3 or 1 in (port.shape[1], port.shape[-1])]
    for found in (named, single):
        if len(found) == 1:
            return found[0]
    raise ModelError(f"{file}: which of {inputs[0].name} and {inputs[1].name} is the mask cannot be told")


def _hole_or_known(words: frozenset[str]) -> str:
    return "" if len({"hole", "known"} & words) == 1 else "hole or known (what 1 or 255 in the mask means)"


def _said(words: frozenset[str], prefix: str) -> str:
    said = [word for word in SCALES if prefix + word in words]
    return said[0] if len(said) == 1 else ""


def _port(declared: onnxruntime.NodeArg, words: frozenset[str], scale: str, missing: list[str]) -> Port:
    if declared.type != BYTES and declared.type not in FLOATS:
        raise ModelError(f"{declared.name}: is {declared.type}; only 8 bits and floats are known")
    if declared.type in FLOATS and not scale:
        missing.append(f"unit, signed or byte (the range of {declared.name}: 0 to 1, -1 to 1, 0 to 255)")
    axes = _axes(declared.shape, words)
    if not axes:
        missing.append(f"nchw or nhwc (the axes of {declared.name}, declared as {declared.shape})")
    height, width = {"nchw": (2, 3), "nhwc": (1, 2), "nhw": (1, 2)}[axes or "nhw"]
    fixed = declared.shape[height], declared.shape[width]
    if any(isinstance(side, int) and side > MAX_SIDE for side in fixed):
        raise ModelError(f"{declared.name}: declared as {declared.shape}; no side may be over {MAX_SIDE}")
    return Port(
        declared.name,
        np.uint8 if declared.type == BYTES else FLOATS[declared.type],
        cast(Axes, axes or "nhw"),
        fixed if all(isinstance(side, int) for side in fixed) else None,
        cast(Range, "byte" if declared.type == BYTES else scale or "unit"),
    )


def _axes(shape: list[int | str | None], words: frozenset[str]) -> str:
    if len(shape) == 3:
        return "nhw"
    first, last = shape[1] in (1, 3), shape[-1] in (1, 3)
    said = {"nchw", "nhwc"} & words
    if first != last:
        return "nchw" if first else "nhwc"
    return next(iter(said)) if len(said) == 1 and len(shape) == 4 else ""


def _scaled(image: Image, port: Port) -> Array:
    if port.dtype is np.uint8:
        return image
    factor, offset = SCALES[port.range]
    return (image * factor + offset).astype(port.dtype)


def _shaped(pixels: Array, port: Port) -> Array:
    """(H, W) or (H, W, 3) -> a batch of one in the port's axes."""
    if port.axes == "nhw":
        return pixels[None]
    channels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(channels.transpose(2, 0, 1)[None] if port.axes == "nchw" else channels[None])


def _to_bytes(drawn: Array, port: Port, name: str) -> Image:
    """A batch of one -> (H, W, 3) uint8, rounded. Floats far outside of the range said are refused."""
    pixels = np.asarray(drawn[0].transpose(1, 2, 0) if port.axes == "nchw" else drawn[0])
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise FileError(f"{name}: gives {drawn.shape}, which is no picture in RGB")
    if port.dtype is np.uint8:
        return pixels.astype(np.uint8)
    factor, offset = SCALES[port.range]
    values = (pixels.astype(np.float64) - offset) / factor
    if values.min() < -64 or values.max() > 255 + 64:  # a quarter of the range: more than a network overshoots
        raise FileError(
            f"{name}: gives {pixels.min():.3g} to {pixels.max():.3g}, not the {port.range} range that was said",
            mend="say the output's range: out-unit, out-signed or out-byte",
        )
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _sized(image: Image, size: tuple[int, ...]) -> Image:
    if image.shape[:2] == tuple(size):
        return image
    how = cv2.INTER_AREA if image.shape[0] > size[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=how), np.uint8)


def _sized_hole(hole: Hole, size: tuple[int, ...]) -> Hole:
    if hole.shape == tuple(size):
        return hole
    return cv2.resize(hole.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
