"""Refinement as the batch and `Session` run it."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="package")
def one_thread_of_numpy() -> Iterator[None]:
    with threadpool_limits(1, user_api="blas"):
        yield
