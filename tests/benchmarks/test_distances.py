"""Distances of sets, by what is known of them without a reference."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from lgnet_cli.benchmarks.columns import COLUMNS
from lgnet_cli.benchmarks.distances import CHUNK, PAIRS, SEED, fid, ids, kid


def vectors(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, 12)).astype(np.float32)


@pytest.mark.parametrize("count", [8, 300])  # fewer and more pictures than features
def test_fid_of_equal_sets_is_zero_and_of_shifted_ones_the_shift(count: int) -> None:
    a = vectors(count, 0)
    assert fid(a, a) == pytest.approx(0, abs=1e-9)
    assert fid(a, a + 0.5) == pytest.approx(12 * 0.25, rel=1e-5)  # float32
    assert fid(a, vectors(count, 1)) == pytest.approx(fid(vectors(count, 1), a), rel=1e-9)


def test_fid_of_scaled_gaussians() -> None:
    """sigma and 2 sigma: tr(S + 4 S - 2 * 2 S) = tr S."""
    a = vectors(500, 3).astype(np.float64)
    a -= a.mean(axis=0)
    assert fid(a, 2 * a) == pytest.approx(np.trace(np.cov(a, rowvar=False)), rel=1e-9)


def test_fid_in_chunks_is_that_of_the_whole_covariances() -> None:
    """tr sqrt(A B) by the eigenvalues of A B, which are real and positive here."""
    a, b = vectors(2 * CHUNK + 700, 0).astype(np.float64), 1.5 * vectors(CHUNK + 5, 1, shift=0.3).astype(np.float64)
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    cross = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real).sum()
    apart = a.mean(axis=0) - b.mean(axis=0)
    assert fid(a, b) == pytest.approx(apart @ apart + sum(map(np.trace, covariances)) - 2 * cross, rel=1e-9)


def peak(measure: Callable[..., object], *sets: np.ndarray) -> int:
    """Bytes that `measure` has at most at a time, of what numpy allocates."""
    tracemalloc.start()
    measure(*sets)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("measure", [fid, kid, ids])
def test_memory_does_not_grow_with_the_pictures(measure: Callable[..., object], tmp_path: Path) -> None:
    peaks = []
    for count in (10_000, 100_000):
        sets = []
        for seed in (0, 1):
            vectors(count, seed, shift=seed / 2).tofile(tmp_path / f"{seed}")
            sets.append(np.asarray(np.memmap(tmp_path / f"{seed}", np.float32, "r").reshape(-1, 12)))
        peaks.append(peak(measure, *sets))
    # KID and IDS draw among numbers of all rows, 8 bytes each, in two arrays; one copy of a set in float32 is 4.8 MB
    assert peaks[1] - peaks[0] < 1.7e6


def test_kid_is_about_zero_within_one_distribution_and_not_between_two() -> None:
    assert abs(kid(vectors(200, 0), vectors(200, 1))) < 0.05 < kid(vectors(200, 0), vectors(200, 1, shift=1))


def test_ids_by_their_definition() -> None:
    real, made = vectors(60, 0), vectors(60, 1, shift=0.5)
    svm = LinearSVC(dual=False).fit(np.concatenate([real, made]), [1] * 60 + [0] * 60)
    wrong = np.mean(svm.predict(np.concatenate([real, made])) != [1] * 60 + [0] * 60)
    p_ids, u_ids = ids(real, made)
    assert u_ids == pytest.approx(wrong)
    assert p_ids == pytest.approx(np.mean(svm.decision_function(made) > svm.decision_function(real)))
    assert 0 < p_ids < 0.5
    assert ids(real, real + 100)[0] == 0  # told apart every time


def test_ids_of_many_pairs_are_of_some_drawn_at_random() -> None:
    real, made = vectors(PAIRS + 200, 0), vectors(PAIRS + 200, 1, shift=0.2)
    drawn = np.sort(np.random.RandomState(SEED).choice(PAIRS + 200, PAIRS, replace=False))
    assert ids(real, made) == ids(real[drawn], made[drawn]) != ids(real[:PAIRS], made[:PAIRS])
    assert [f"at most {PAIRS} pairs" in column.definition for column in COLUMNS if column.name == "p_ids"] == [True]
