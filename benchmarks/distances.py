"""Distances of two sets of pictures by their features, (N, D) each: FID, KID, P-IDS and U-IDS.

FID and KID are torch-fidelity's formulas, and a test holds them to it; its modules that hold them import torchvision.

Sets may lie in mapped files: a part of them is in memory at a time, so that it takes no more for 30,000 pictures than
for some thousand.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

Vectors = NDArray[np.floating]

SUBSETS = 100
SUBSET = 1000
SEED = 2020
"""KID's, as torch-fidelity's defaults; a subset is at most all there are."""

CHUNK = 2048
"""Rows in memory at a time for FID: as many as features, since each chunk costs a decomposition of that and its own."""

PAIRS = 5000
"""Of P-IDS and U-IDS at most: LinearSVC wants all in memory, in a copy of its own that is six times as large."""


def fid(a: Vectors, b: Vectors) -> float:
    """Frechet distance |mean a - mean b|^2 + tr(A + B - 2 sqrt(A B)), A and B the covariances (Heusel et al. 2017).

    The eigenvalues of A B are the squared singular values of R_a R_b^T, for any R with R^T R = covariance: no square
    root of a matrix, no noise from eigenvalues that should be 0, and quick for fewer pictures than features.
    """
    (mean_a, root_a), (mean_b, root_b) = _moments(a), _moments(b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    apart = mean_a - mean_b
    return float(apart @ apart + np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross)


def kid(a: Vectors, b: Vectors) -> float:
    """Mean over random subsets of the unbiased squared MMD under the kernel (x.y / D + 1)^3 (Binkowski et al. 2018)."""
    size = min(SUBSET, len(a), len(b))
    rng = np.random.RandomState(SEED)
    found = []
    for _ in range(SUBSETS):
        x = a[rng.choice(len(a), size, replace=False)]
        y = b[rng.choice(len(b), size, replace=False)]
        found.append(_mmd2(x, y))
    return float(np.mean(found))


def ids(originals: Vectors, results: Vectors) -> tuple[float, float]:
    """P-IDS and U-IDS (Zhao et al. 2021), 0 to 1, higher is better. Row i of both is the same photo.

    A linear SVM learns to tell originals from results on these very features. U-IDS is its error rate; P-IDS the share
    of pairs of which it takes the result for the more real. Of more than `PAIRS` pairs, so many drawn at random stand
    for all.
    """
    if len(originals) > PAIRS:
        drawn = np.sort(np.random.RandomState(SEED).choice(len(originals), PAIRS, replace=False))
        originals, results = originals[drawn], results[drawn]
    svm = LinearSVC(dual=False)
    features = np.concatenate([originals, results])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few pictures are told apart without end
        svm.fit(features, np.concatenate([np.ones(len(originals)), np.zeros(len(results))]))
    real, made = svm.decision_function(originals), svm.decision_function(results)
    wrong = (np.count_nonzero(real <= 0) + np.count_nonzero(made > 0)) / len(features)
    return float(np.mean(made > real)), float(wrong)


def _moments(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean, and a matrix R with R^T R = covariance, of at most D rows.

    Of R over the rows of a next chunk, R again is what the decomposition of all rows so far would have given.
    """
    mean = np.sum([chunk.sum(axis=0) for chunk in _chunks(vectors)], axis=0) / len(vectors)
    root: NDArray[np.float64] = np.empty((0, vectors.shape[1]))
    for chunk in _chunks(vectors):
        root = np.asarray(np.linalg.qr(np.concatenate([root, chunk - mean]), mode="r"), np.float64)
    return mean, root / np.sqrt(len(vectors) - 1)


def _chunks(vectors: Vectors) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(vectors), CHUNK):
        yield np.asarray(vectors[start : start + CHUNK], np.float64)


def _mmd2(x: Vectors, y: Vectors) -> float:
    n = len(x)
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.sum() / (n * n))


def _kernel(x: Vectors, y: Vectors) -> Vectors:
    base = x @ y.T * (1 / x.shape[1]) + 1
    return np.asarray(base * base * base)  # numpy's power takes twenty times as long
