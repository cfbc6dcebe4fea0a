"""What users get as a method: the session's own call, refined as the row says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fakes import PaintEngine
from lgnet_cli.benchmarks.methods import merged
from lgnet_cli.benchmarks.product import Product, Refine, products
from lgnet_cli.benchmarks.samples import Photo, Sample
from lgnet_cli.engines.protocol import EngineInfo, Pixels
from lgnet_cli.weights.header import sha256

INFO = PaintEngine().info


class Painter:
    """Satisfies `Fills`: another grey for every way to refine."""

    def __init__(self, info: EngineInfo = INFO) -> None:
        self.info = info

    def inpaint(self, image: np.ndarray, mask: np.ndarray, *, refine: Refine) -> np.ndarray[Any, Any]:
        level = {"texture": 10, "tone": 20, "none": 30}[refine]
        return np.where(mask[:, :, None], np.uint8(level), image)


def test_each_row_refines_in_its_own_way(photo: Callable[..., Pixels]) -> None:
    image, hole = photo(80, 100), np.zeros((80, 100), bool)
    hole[20:40, 30:60] = True
    sample = Sample(Photo(Path("a.png"), "a.png", 0), "1-10", "a", "", 0, hole)
    ways: list[Refine] = ["texture", "tone", "none"]
    rows = [Product(f"lgnet, {way}", Painter(), way) for way in ways]
    for row, level in zip(rows, (10, 20, 30), strict=True):
        expected = np.where(hole[:, :, None], level, image)
        np.testing.assert_array_equal(merged(row, sample, image), expected)
    assert len({row.source for row in rows}) == 3  # or --resume would take one's rows for another's
    assert "weights 000000000000" in rows[0].source


def test_an_engine_that_does_not_know_its_weights_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("engine")
    painter = Painter(replace(INFO, weights_sha256=""))
    assert sha256(tmp_path / "a")[:12] in Product("lgnet", painter, "texture", tmp_path / "a").source


def test_there_is_a_row_a_back_end() -> None:
    assert [row.name for row in products(["auto"], None, None)] == ["lgnet"]
    rows = products(["onnxruntime", "torch"], None, None)
    assert [row.name for row in rows] == ["lgnet (onnxruntime)", "lgnet (torch)"]
    assert [row.source.partition(",")[0] for row in rows] == ["onnxruntime", "torch"]
