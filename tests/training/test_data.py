"""Samples by number."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError
from lgnet_cli.training.config import PRESETS, Config
from lgnet_cli.training.data import TRIES, Numbers, Photos, central, framed, loader, read_hole
from lgnet_cli.training.sources import Source, find

SMALL = PRESETS["small"]


@pytest.fixture
def set_of_five(tmp_path: Path, photo: Callable[..., Pixels]) -> list[Source]:
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo(270 + 10 * i, 300, seed=i)[:, :, ::-1])
    return find(str(tmp_path))


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6))
def test_every_number_is_one_process_ones_wherever_a_run_is_cut(
    batch: int, accumulate: int, world: int, before: int, after: int
) -> None:
    stop = before + after
    pieces = [(0, before), (before, stop)]  # a run, and the run that goes on from it
    dealt = [n for rank in range(world) for a, b in pieces for part in Numbers(a, b, batch, accumulate, rank, world)
             for n in part]  # fmt: skip
    assert sorted(dealt) == list(range(stop * batch * accumulate * world))


def test_a_batch_of_two_processes_is_that_of_one_with_twice_the_batch() -> None:
    one = list(Numbers(0, 4, 6, 1, 0, 1))
    both = zip(Numbers(0, 4, 3, 1, 0, 2), Numbers(0, 4, 3, 1, 1, 2), strict=True)
    assert [a + b for a, b in both] == one


def test_every_image_is_used_once_a_pass_in_another_order(set_of_five: list[Source]) -> None:
    photos = Photos(SMALL, set_of_five, [])
    passes = [[photos[n].name for n in range(5 * p, 5 * p + 5)] for p in range(3)]
    assert all(Counter(names) == Counter(s.name for s in set_of_five) for names in passes)
    assert len({tuple(names) for names in passes}) > 1


def test_every_image_is_used_whatever_the_number_of_masks(set_of_five: list[Source], tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    cv2.imwrite(str(tmp_path / "m" / "only.png"), np.tile(np.array([[0, 255]], np.uint8), (64, 32)))
    photos = Photos(SMALL, set_of_five, find(str(tmp_path / "m")))
    assert {photos[n].name for n in range(5)} == {s.name for s in set_of_five}


def test_a_sample_is_a_function_of_its_number(set_of_five: list[Source]) -> None:
    once, again = Photos(SMALL, set_of_five, []), Photos(SMALL, set_of_five, [])
    other_seed = Photos(dataclasses.replace(SMALL, seed=1), set_of_five, [])
    [again[n] for n in range(3)]  # what was asked for before does not matter
    for number in (7, 2):
        assert torch.equal(once[number].image, again[number].image)
        assert torch.equal(once[number].mask, again[number].mask)
    assert not torch.equal(once[7].mask, other_seed[7].mask)


def test_workers_change_nothing(set_of_five: list[Source]) -> None:
    photos, numbers = Photos(SMALL, set_of_five, []), Numbers(1, 4, 2, 1, 0, 1)
    here, there = (list(loader(photos, numbers, workers, pin=False)) for workers in (0, 2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.mask, b.mask)
        assert a.name == b.name


def test_a_bad_file_is_named_and_the_next_takes_its_place(set_of_five: list[Source]) -> None:
    bad = Path(set_of_five[2].path)
    bad.write_bytes(b"\x89PNG broken")
    samples = [Photos(SMALL, set_of_five, [])[n] for n in range(5)]
    assert str(bad) not in [s.name for s in samples]
    assert [str(bad) in line for s in samples for line in s.unreadable] == [True]


def test_a_set_of_bad_files_is_an_error(tmp_path: Path) -> None:
    for i in range(TRIES):
        (tmp_path / f"{i}.png").write_bytes(b"broken")
    with pytest.raises(FileError, match="in a row"):
        Photos(SMALL, find(str(tmp_path)), [])[0]


def test_masks_are_resized_without_values_in_between(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 255
    mask[0, :] = 127  # not white
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    hole = read_hole(Source(str(tmp_path / "m.png")), 256)
    assert hole.shape == (256, 256)
    assert set(np.unique(hole)) == {0, 1}
    assert hole[10:, :128].sum() == 0
    assert hole[10:, 128:].all()


def test_squash_shows_the_whole_photo_and_crop_a_square_of_it() -> None:
    ramp = np.repeat(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    rng = np.random.default_rng(0)
    squashed = framed(Config(flip=False), ramp, rng)
    assert (squashed[0, 0, 0], squashed[0, -1, 0]) == (0, 255)
    crops = [framed(Config(framing="crop", flip=False), ramp, rng) for _ in range(8)]
    assert all(int(c[0, -1, 0]) - int(c[0, 0, 0]) in range(120, 136) for c in crops)  # half of the ramp
    assert len({int(c[0, 0, 0]) for c in crops}) > 3


@given(st.integers(1, 600), st.integers(1, 600))
def test_any_photo_becomes_a_square(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    rng = np.random.default_rng(0)
    assert framed(SMALL, image, rng).shape == central(image, 256).shape == (256, 256, 3)
