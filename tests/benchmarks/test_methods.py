"""What fills: classical methods, folders of results, and upstream's truncation."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from fakes import PaintEngine
from lgnet_cli.benchmarks.methods import ALONE, Folder, ThisModel, Truncating, against, merged, this_model
from lgnet_cli.benchmarks.samples import Photo, Sample
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError, UsageError
from lgnet_cli.model import load_published, save
from lgnet_cli.weights import DEFAULT_GRAPH
from lgnet_cli.weights.header import sha256

FIXTURE = Path(__file__).parents[1] / "fixtures" / "official_w8_256"


def sample(hole: np.ndarray) -> Sample:
    return Sample(Photo(Path("x/a.png"), "x/a.png", 0), "10-20", "10-20/x/a", "", 0, hole)


def square_hole(side: int = 256) -> np.ndarray:
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 4 : side // 2] = True
    return hole


def test_this_model_fills_holes_alone(photo: Callable[..., Pixels]) -> None:
    image, hole = photo(256, 256), square_hole()
    method = ThisModel(ALONE, PaintEngine((1, 2, 3)), 256)
    filled = merged(method, sample(hole), image)
    np.testing.assert_array_equal(filled, np.where(hole[:, :, None], np.array((1, 2, 3)), image))
    with pytest.raises(UsageError, match="not at 300"):
        ThisModel(ALONE, PaintEngine(), 300)


def test_an_engine_that_does_not_know_its_weights_is_told_by_its_file(tmp_path: Path) -> None:
    """Or --resume would take another engine's rows for its own."""
    engine, sources = PaintEngine(), []
    engine.info = replace(engine.info, weights_sha256="")
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"engine {name}")
        sources.append(ThisModel(ALONE, engine, 256, tmp_path / name).source)
    assert sources[0] != sources[1]
    assert sources[0].endswith(f"SHA-256 of the file {sha256(tmp_path / 'a')[:12]}")


def test_an_engine_file_is_in_what_a_resumed_run_goes_by(tmp_path: Path) -> None:
    graph = onnx.load(DEFAULT_GRAPH)
    del graph.metadata_props[:]
    sources = []
    for name in ("a", "b"):
        graph.doc_string = name
        onnx.save(graph, tmp_path / f"{name}.onnx")
        (method,) = this_model(["auto"], None, tmp_path / f"{name}.onnx", 256, 1)
        sources.append(method.source)
    assert sources[0] != sources[1]


def test_known_pixels_are_the_originals_whatever_a_method_makes_of_them(tmp_path: Path) -> None:
    (tmp_path / "10-20" / "x").mkdir(parents=True)
    image = np.full((64, 64, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "10-20" / "x" / "a.jpg"), image + 20)
    hole = square_hole(64)
    filled = merged(Folder("other", tmp_path), sample(hole), image)
    assert (filled[~hole] == 90).all()
    assert np.abs(filled[hole].astype(int) - 110).max() <= 1  # JPEG


def test_a_folder_without_the_result_or_of_another_size_is_the_pictures_failure(tmp_path: Path) -> None:
    image, hole = np.zeros((64, 64, 3), np.uint8), square_hole(64)
    with pytest.raises(FileError, match="10-20/x/a: no result"):
        merged(Folder("other", tmp_path), sample(hole), image)
    (tmp_path / "10-20" / "x").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "10-20" / "x" / "a.png"), image[:32])
    with pytest.raises(FileError, match="is 64 x 32, evaluated at 64 x 64"):
        merged(Folder("other", tmp_path), sample(hole), image)


def test_classical_methods_fill_a_flat_hole(tmp_path: Path) -> None:
    image, hole = np.full((64, 64, 3), (10, 120, 230), np.uint8), square_hole(64)
    spoiled = np.where(hole[:, :, None], 255, image).astype(np.uint8)
    for method in against(["telea,ns"], seed=0, threads=1):
        assert np.abs(merged(method, sample(hole), spoiled).astype(int) - image).max() <= 4, (
            method.name
        )  # its own rounding


def test_patchmatch_continues_a_pattern_and_follows_its_seed() -> None:
    pytest.importorskip("patchmatch", reason="pypatchmatch takes Python 3.11")
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, np.arange(64) % 12 < 6] = 255
    hole = square_hole(64)
    spoiled = np.where(hole[:, :, None], 128, stripes).astype(np.uint8)
    (method,) = against(["patchmatch"], seed=3, threads=1)
    filled = merged(method, sample(hole), spoiled)
    assert np.abs(filled.astype(int) - stripes)[hole].mean() < 10  # grey would be 127 off
    np.testing.assert_array_equal(filled, merged(method, sample(hole), spoiled))


def test_truncation_is_upstreams(tmp_path: Path) -> None:
    """The fixture's picture is upstream's before truncation; known pixels lose 1 where float32 falls short."""
    save(load_published(FIXTURE), tmp_path / "w8.safetensors", {})
    image = cv2.cvtColor(cv2.imread(str(FIXTURE / "image.png")), cv2.COLOR_BGR2RGB)
    mask = cv2.imread(str(FIXTURE / "mask.png"), cv2.IMREAD_GRAYSCALE) >= 128
    filled = merged(Truncating(tmp_path / "w8.safetensors", 256), sample(mask), image)
    with np.load(FIXTURE / "stages.npz") as stages:
        drawn = (stages["global_"][0].transpose(1, 2, 0) + 1) / 2 * 255
    known = ((image.astype(np.float32) / np.float32(127.5) - 1) + 1) / 2 * 255
    expected = np.where(mask[:, :, None], drawn, known).astype(np.uint8)
    off = np.abs(filled.astype(int) - expected)
    assert off.max() <= 1  # a value within 2e-5 of a whole number may fall either way
    assert off.mean() < 1e-3
    lost = image[~mask].astype(int) - filled[~mask]
    assert set(np.unique(lost)) == {0, 1}


@pytest.mark.parametrize("word", ["lama", "telea,lama", "x=/no/such/folder"])
def test_an_unknown_method_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        against([word], seed=0, threads=1)
