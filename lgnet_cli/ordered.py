"""Work done by threads, its results taken in order, at constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 4
"""Images decoded ahead of the engine, and as many encoded behind it."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int = AHEAD
) -> Iterator[R]:
    """`map` in threads, in order, at most `ahead` items ahead of whoever takes the results."""
    return results((pool.submit(function, item) for item in items), ahead)


def results(futures: Iterable[Future[R]], ahead: int) -> Iterator[R]:
    """What comes of futures, in order; takes at most `ahead` more of them than it has given results."""
    pending: deque[Future[R]] = deque()
    for future in futures:
        pending.append(future)
        while len(pending) > ahead or (pending and pending[0].done()):
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
