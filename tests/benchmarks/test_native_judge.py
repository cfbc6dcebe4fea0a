"""The distance of a whole photo's windows is the network's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lgnet_cli.benchmarks.native_judge import LEAST, StLpips, measure, subject_of
from lgnet_cli.benchmarks.samples import Photo, Sample
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError
from lgnet_cli.perceptual.networks import st_lpips


def test_st_lpips_is_the_networks_own(photo: Callable[..., Pixels]) -> None:
    original, filled = photo(96, 120, seed=1), photo(96, 120, seed=2)
    judge = StLpips(None)
    known = judge.know(original[:, ::-1][:, ::-1])  # a view, as a window is
    a, b = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for p in (original, filled))
    with torch.no_grad():
        assert judge.of(filled, known) == pytest.approx(float(st_lpips()(a, b)), rel=1e-5)
    assert judge.of(original, known) == 0


@pytest.mark.parametrize("shape", [(LEAST, LEAST), (LEAST, 300)])
def test_small_photos_have_a_distance_and_smaller_ones_are_refused(
    shape: tuple[int, int], photo: Callable[..., Pixels]
) -> None:
    judge, original = StLpips(None), photo(*shape)
    subject = subject_of(sample(shape), original, judge)
    assert 0 < measure(subject, original // 2, judge)["st_lpips_windows"] < 10
    smaller = (LEAST - 1, 300)
    with pytest.raises(FileError, match=r"a\.png: has under 32 pixels"):
        subject_of(sample(smaller), photo(*smaller), judge)


def sample(shape: tuple[int, int]) -> Sample:
    hole = np.zeros(shape, bool)
    hole[10:20, 10:20] = True
    return Sample(Photo(Path("a.png"), "a.png", 0), "native", "a", "", None, hole)
