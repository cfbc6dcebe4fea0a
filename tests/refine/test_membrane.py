"""Membranes are exact on what is harmonic, and nearly what a direct solver gives elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from lgnet_cli.refine.membrane import blurred_known, harmonic

thorough = settings(max_examples=40, deadline=None)


@st.composite
def given_pixels(draw: st.DrawFn) -> NDArray[np.bool_]:
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    known = rng.random((height, width)) >= draw(st.sampled_from([0, 0.05, 0.5, 1]))
    for _ in range(draw(st.integers(0, 3))):
        y, x = rng.integers(height), rng.integers(width)
        known[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = False
    return known


@thorough
@given(known=given_pixels(), seed=st.integers(0, 9))
def test_given_values_stay_and_all_others_lie_between(known: NDArray[np.bool_], seed: int) -> None:
    values = np.random.default_rng(seed).uniform(-50, 200, (*known.shape, 2)).astype(np.float32)
    filled = harmonic(values, known)
    np.testing.assert_array_equal(filled[known], values[known])
    if known.any():
        # The maximum principle holds for the exact solution; what two cycles leave may lie a little outside.
        assert filled.min() >= values[known].min() - 25
        assert filled.max() <= values[known].max() + 25
    else:
        assert not filled.any()


def test_even_and_graded_values_are_carried_on_exactly() -> None:
    y, x = np.mgrid[:90, :120].astype(np.float32)
    known = np.ones((90, 120), bool)
    known[20:70, 30:100] = False
    even, graded = np.full((90, 120, 1), 77, np.float32), (3 + 0.5 * x - 0.25 * y)[:, :, None]
    np.testing.assert_allclose(harmonic(even, known), even, rtol=1e-6)
    # A fiftieth of the 35 levels across the hole is what two cycles leave.
    np.testing.assert_allclose(harmonic(graded, known), graded, rtol=0, atol=0.7)


def test_a_noisy_border_is_solved_nearly_as_by_a_direct_solver() -> None:
    rng = np.random.default_rng(0)
    known = np.ones((64, 80), bool)
    known[10:50, 12:70] = False
    values = rng.normal(0, 20, (64, 80, 1)).astype(np.float32)
    off = (harmonic(values, known) - _solved(values[:, :, 0], known)[:, :, None])[~known]
    assert np.sqrt((off**2).mean()) < 1  # levels; V-cycles stop at 0.3 here, the start without them at 1.9


def test_more_cycles_are_closer() -> None:
    rng = np.random.default_rng(1)
    known = rng.random((60, 60)) < 0.2
    values = rng.normal(0, 20, (60, 60, 3)).astype(np.float32)
    exact = harmonic(values, known, cycles=30)
    errors = [float(np.abs(harmonic(values, known, cycles=n) - exact).mean()) for n in (0, 1, 2, 4)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("sigma", [0.8, 3.0])
def test_the_mean_of_what_is_known_ignores_the_rest(sigma: float) -> None:
    values = np.full((40, 50, 3), 60, np.float32)
    known = np.ones((40, 50), bool)
    known[10:30, 20:40] = False
    values[~known] = 1e6
    np.testing.assert_allclose(blurred_known(values, known, sigma)[known], 60, rtol=1e-4)


def _solved(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The membrane by a direct solver; the picture's border is known here, so that it needs no care."""
    number = np.full(known.shape, -1)
    number[~known] = np.arange(np.count_nonzero(~known))
    rows, columns, data, right = [], [], [], np.zeros(np.count_nonzero(~known))
    for y, x in np.argwhere(~known):
        rows.append(number[y, x])
        columns.append(number[y, x])
        data.append(4.0)
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if known[v, u]:
                right[number[y, x]] += values[v, u]
            else:
                rows.append(number[y, x])
                columns.append(number[v, u])
                data.append(-1.0)
    result = values.astype(np.float64).copy()
    result[~known] = spsolve(csr_matrix((data, (rows, columns))), right)
    return result
