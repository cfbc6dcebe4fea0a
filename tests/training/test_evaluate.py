"""Validation."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lgnet_cli.benchmarks.metrics import psnr_db
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.model import LGNet
from lgnet_cli.training.config import Config
from lgnet_cli.training.evaluate import as_pixels, grid, run, validate, validation_set
from lgnet_cli.training.sources import find

CPU = torch.device("cpu")


@pytest.fixture
def held(tmp_path: Path, photo: Callable[..., Pixels]):
    for i in range(7):
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo(300, 280, seed=i)[:, :, ::-1])
    return validation_set(Config(val_count=7), find(str(tmp_path)), [])


def test_psnr_is_that_of_the_tables(held) -> None:
    torch.manual_seed(0)
    model = LGNet(4)
    measured = validate(model, held, CPU, batch=3)
    filled = as_pixels(run(model.eval(), held.images, held.masks, CPU).merged).numpy()
    single = [psnr_db(f, o) for f, o in zip(filled, held.images.numpy(), strict=True)]
    buckets = ["1-10", "10-20", "20-30", "30-40", "40-50", "50-60"]
    assert list(measured) == [*buckets, "mean"]
    assert measured["10-20"] == pytest.approx(single[1], abs=1e-3)  # float32 errors
    assert measured["1-10"] == pytest.approx((single[0] + single[6]) / 2, abs=1e-3)
    assert measured["mean"] == pytest.approx(np.mean([measured[b] for b in buckets]))


def test_known_pixels_come_back_exactly(held) -> None:
    merged = as_pixels(run(LGNet(4).eval(), held.images, held.masks, CPU).merged)
    known = held.masks == 0
    assert torch.equal(merged[known], held.images[known])


def test_the_grid_has_a_row_a_bucket(held) -> None:
    page = grid(LGNet(4), held, CPU)
    assert page.shape == (6 * 256, 6 * 256, 3)
    first = held.masks[0].numpy() != 0
    assert (page[:256, :256][first] == 255).all()
    assert (page[:256, -256:] == held.images[0].numpy()).all()


def test_it_is_the_same_every_time(tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo(seed=i))
    one, two = (validation_set(Config(val_count=2), find(str(tmp_path)), []) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.masks, two.masks)
