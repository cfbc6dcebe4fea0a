"""Other systems' graphs, in the conventions in use: what each must be fed, and what comes back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lgnet_cli.benchmarks.onnx_method import OnnxMethod, split
from lgnet_cli.benchmarks.samples import Photo, Sample
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError, ModelError, UsageError
from lgnet_cli.weights import DEFAULT_GRAPH

TYPES = {"u8": TensorProto.UINT8, "f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16}
BLUE = (0.2, 0.4, 0.8)  # what every graph here paints holes with, of 1


def graph(
    path: Path, *, dtype: str = "f32", axes: str = "nchw", one: str = "hole", low: float = 0.0, high: float = 1.0,
    size: int | str = "s", out_high: float | None = None, names: tuple[str, str] = ("image", "mask"),
) -> Path:  # fmt: skip
    """A graph that paints holes blue and keeps known pixels, in the given convention. `high`: what white is."""
    channels = (1, 3, 1, 1) if axes == "nchw" else (1, 1, 1, 3)
    blue = np.array(BLUE, np.float32).reshape(channels) * (high - low) + low
    last = ((out_high or high) - low) / (high - low) if low == 0 else 1.0
    shape = [1, 3, size, size] if axes == "nchw" else [1, size, size, 3]
    mask_shape = [1, 1, size, size] if axes == "nchw" else [1, size, size, 1]
    constants = {"blue": blue, "half": np.float32(0.5 if dtype != "u8" else 127), "last": np.float32(last)}
    nodes = [
        helper.make_node("Cast", [names[0]], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [names[1]], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["m", "half"], ["one"]),
        helper.make_node("Where", ["one", "blue", "x"] if one == "hole" else ["one", "x", "blue"], ["y"]),
        helper.make_node("Mul", ["y", "last"], ["z"]),
        helper.make_node("Cast", ["z"], ["result"], to=TYPES[dtype]),
    ]
    made = helper.make_graph(
        nodes, "paint",
        [helper.make_tensor_value_info(names[0], TYPES[dtype], shape),
         helper.make_tensor_value_info(names[1], TYPES[dtype], mask_shape)],
        [helper.make_tensor_value_info("result", TYPES[dtype], shape)],
        [onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def sample(size: int = 64) -> Sample:
    hole = np.zeros((size, size), bool)
    hole[: size // 2, : size // 2] = True
    return Sample(Photo(Path("a.png"), "a.png", 0), "20-30", "20-30/a", "", 0, hole)


def run(file: Path, words: str, image: Pixels) -> Pixels:
    return OnnxMethod("other", file, frozenset(words.split(",")), 1).fill(sample(len(image)), image)


CONVENTIONS = {
    "8 bits, known, channels first": ({"dtype": "u8", "one": "known", "high": 255.0}, "known"),
    "8 bits, hole, channels last": ({"dtype": "u8", "axes": "nhwc", "high": 255.0}, "hole"),
    "floats to 1": ({}, "hole,unit"),
    "halves to 1": ({"dtype": "f16"}, "hole,unit"),
    "floats from -1, known": ({"low": -1.0, "one": "known"}, "known,signed"),
    "floats to 255": ({"high": 255.0}, "hole,byte"),
    "floats to 1 in, to 255 out": ({"out_high": 255.0}, "hole,unit,out-byte"),
    "mask named and first": ({"names": ("x_image", "a_mask")}, "hole,unit"),
}


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=list(CONVENTIONS))
def test_conventions(convention: tuple[dict[str, object], str], tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    made, words = convention
    image = photo(64, 64)
    file = graph(tmp_path / "g.onnx", **made)  # type: ignore[arg-type]
    hole = sample().hole[:, :, None]
    expected = np.where(hole, np.array(BLUE) * 255, image)
    off = np.abs(run(file, words, image) - expected).max()
    assert off <= 1  # halves have 11 bits


def test_a_fixed_size_is_resized_to_and_back(tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    image = photo(64, 64)
    filled = run(graph(tmp_path / "g.onnx", size=128), "hole,unit", image)
    assert filled.shape == image.shape
    assert np.abs(filled[:24, :24].astype(int) - np.array(BLUE) * 255).max() <= 1
    assert np.abs(filled[40:, 40:].astype(int) - image[40:, 40:]).mean() < 3  # up and down again


def test_this_packages_own_graph_is_understood(photo: Callable[..., Pixels]) -> None:
    image = photo(256, 256)
    filled = run(DEFAULT_GRAPH, "hole", image)
    known = ~sample(256).hole
    np.testing.assert_array_equal(filled[known], image[known])
    assert (filled[~known] != image[~known]).any()


@pytest.mark.parametrize(
    ("made", "words", "asked"),
    [
        ({}, "unit", "hole or known"),
        ({}, "hole", "unit, signed or byte"),
        ({}, "hole,known,unit", "hole or known"),
        ({}, "hole,unit,byte", "unit, signed or byte"),
    ],
)
def test_what_is_not_declared_has_to_be_said(made: dict[str, object], words: str, asked: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=asked):
        run(graph(tmp_path / "g.onnx", **made), words, np.zeros((64, 64, 3), np.uint8))  # type: ignore[arg-type]


def test_a_wrong_range_is_noticed(tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    with pytest.raises(FileError, match="not the unit range"):
        run(graph(tmp_path / "g.onnx", out_high=255.0), "hole,unit", photo(64, 64))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    for file in (tmp_path / "no.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(ModelError, match=file.name):
            OnnxMethod("other", file, frozenset({"hole"}), 1)


def test_split_tells_files_from_folders() -> None:
    assert split("a/b.onnx") == (Path("a/b.onnx"), frozenset())
    assert split("b.onnx:known,unit") == (Path("b.onnx"), frozenset({"known", "unit"}))
    assert split("out_lama/") == (None, frozenset())
    with pytest.raises(UsageError, match="no such convention: white"):
        split("b.onnx:white")
