"""What measures a picture: the columns are the networks' own numbers, and what is missing says so."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lgnet_cli.benchmarks.columns import PIXEL, SETS
from lgnet_cli.benchmarks.judges import Judges
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import ModelError
from lgnet_cli.perceptual.files import ALEXNET
from lgnet_cli.perceptual.lpips import lpips_alex
from lgnet_cli.perceptual.networks import st_lpips
from lgnet_cli.weights.header import sha256

LAYERS = ((0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3))


def random_alexnet(path: Path) -> None:
    torch.manual_seed(0)
    state = {}
    for place, wide, deep, kernel in LAYERS:
        state[f"features.{place}.weight"] = torch.randn(wide, deep, kernel, kernel) / (deep * kernel**2) ** 0.5
        state[f"features.{place}.bias"] = torch.randn(wide) / 10
    torch.save(state, path)


def test_the_columns_are_the_networks_own(tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    if importlib.util.find_spec("lpips") is None:
        pytest.skip("pip install --no-deps lpips")
    random_alexnet(tmp_path / ALEXNET.name)
    file = replace(ALEXNET, sha256=sha256(tmp_path / ALEXNET.name))
    judges = Judges(tmp_path, vgg=False, cache=tmp_path, alexnet=file)
    assert set(judges.columns) == {*PIXEL, "lpips", "st_lpips"}
    original, results = photo(96, 96, seed=1), [photo(96, 96, seed=2), photo(96, 96, seed=3)]
    rows = judges.measure(judges.know(original), results, np.ones((96, 96), bool))
    a, b = (torch.from_numpy(np.stack(p)).permute(0, 3, 1, 2) / 127.5 - 1 for p in ([original] * 2, results))
    with torch.no_grad():
        expected = {"lpips": lpips_alex(tmp_path, network=file)(a, b), "st_lpips": st_lpips()(a, b)}
    for column, values in expected.items():
        assert [row[column] for row in rows] == pytest.approx(values.tolist(), rel=1e-5)
        assert values.min() > 0.01


def test_what_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # a developer may have the files
    judges = Judges(tmp_path, vgg=True, cache=tmp_path)
    assert set(judges.missing) == {"lpips", "lpips_vgg", *SETS}
    assert all("pip install" in how or "download http" in how for how in judges.missing.values())
    assert "st_lpips" in judges.columns


def test_another_file_under_the_name_of_a_published_one_is_an_error_and_no_gap(tmp_path: Path) -> None:
    random_alexnet(tmp_path / ALEXNET.name)
    with pytest.raises(ModelError, match="SHA-256"):
        Judges(tmp_path, vgg=False, cache=tmp_path)
