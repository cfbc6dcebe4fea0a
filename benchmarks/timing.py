"""Timed calls, in turn: A B A B ..., so that a machine that drifts slows whatever is compared alike."""

import time
from collections.abc import Callable, Mapping

PAUSE = 0.1
"""Seconds before a call: the last one's threads may still spin, waiting for more."""


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    seconds: float = float("inf"),
    least: int = 3,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Seconds of wall time of every call, run in turn.

    A call must return only when its result is in the caller's memory; then nothing else is left to synchronise with.

    Args:
        calls: {name: what to time}.
        rounds: times each is called and counted.
        seconds: after which no further round begins, once there are `least`.
        least: rounds that take place however long they are.
        warm_up: rounds before, which are not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for number in range(-warm_up, rounds):
        if number >= least and time.perf_counter() - began > seconds:
            break
        for name, call in calls.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            call()
            if number >= 0:
                taken[name].append(time.perf_counter() - started)
    return taken
