"""The workers of a batch on Ray, as the process sees them that feeds them and keeps the one report.

A worker gets a few images at a time, as many as it fills in SECONDS, and fewer towards the end, so that all finish
together. What a lost worker had goes to others in smaller parts, so that an image that takes its worker down with it
is found, and fails alone. An image that is done twice is written twice, whole.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from .errors import LgnetError, ModelError
from .imaging.spool import Pair
from .pipeline import Summary
from .places import is_remote
from .report import Record, Report, key_of
from .stages import record as add_line
from .worker import Opened, Order, Part, Worker

SECONDS = 3.0
"""Of work that a worker is sent at a time."""

FIRST = 4
"""Images, or one batch, sent to a worker whose speed is not known yet."""

QUEUED = 2
"""Parts that a worker has: the one it fills, and the next, so that it never waits for this process."""

SPLIT = 4
"""Parts in which the images of a lost worker go to others."""

TRIES = 3
"""Workers that may be lost over one image before it fails."""

STILLBORN = 5
"""Workers lost one after the other while they load the model, before the batch ends."""

GROW_EVERY = 5.0
"""Seconds between two looks at the cluster for machines that have joined."""

LONELY = 60.0
"""Seconds without a machine that could run a worker, before the batch ends."""


@dataclass(frozen=True)
class Shape:
    """What Ray gives each worker."""

    cpus: int
    gpus: int  # 0 or 1

    def fits(self, node: dict[str, Any]) -> int:
        """How many workers a node of `ray.nodes()` has room for."""
        has = node["Resources"]
        count = has.get("CPU", 0) // self.cpus
        return int(min(count, has.get("GPU", 0)) if self.gpus else count) if node["Alive"] else 0


@dataclass
class _Chunk:
    """Images that are sent together."""

    pairs: list[Pair]  # with their keys
    lost: int = 0  # workers


@dataclass
class _Hand:
    """A worker as seen from here."""

    actor: Any
    placed: Any  # the first answer, until it is there
    opening: Any
    host: str = ""
    open: bool = False
    sent: deque[tuple[Any, _Chunk]] = field(default_factory=deque)
    rate: float = 0.0  # images a second

    def pending(self) -> list[Any]:
        """What to wait for next."""
        if self.placed is not None:
            return [self.placed]
        return [self.opening] if not self.open else [self.sent[0][0]] if self.sent else []


class Crew:
    """The workers of one batch. Close it."""

    def __init__(
        self, pairs: Iterable[Pair], total: int, order: Order, shape: Shape, report: Report, summary: Summary,
        on_done: Callable[[Record | None, str], None], say: Callable[[str], None], worker: type = Worker,
    ) -> None:  # fmt: skip
        """For `total` pairs; `on_done` as `pipeline.run` calls it; `say` gets what a person should know."""
        self._pairs, self._left, self._order, self._shape = iter(pairs), total, order, shape
        self._make = ray.remote(worker).options(num_cpus=shape.cpus, num_gpus=shape.gpus).remote
        self._told = ray.put(order)
        self._report, self._summary, self._on_done, self._say = report, summary, on_done, say
        self._hands: list[_Hand] = []
        self._back: deque[_Chunk] = deque()  # of lost workers
        self._fixed = ""  # of every key, once the first worker has said what its engine is
        self._weights = ""
        self._unusable, self._stillborn, self._opened, self.lost = 0, 0, 0, 0
        self._grown, self._room_seen = -math.inf, time.monotonic()
        self._patient_until = self._room_seen + 2 * GROW_EVERY

    def run(self) -> None:
        """Until every image is recorded. Raises LgnetError (no worker can be had), KeyboardInterrupt."""
        started = time.perf_counter()
        try:
            while True:
                self._grow()
                self._feed()
                if self._is_all_done():
                    return
                waited = [ref for hand in self._hands for ref in hand.pending()]
                if not waited:  # until a machine joins
                    time.sleep(1.0)
                    continue
                for ref in ray.wait(waited, timeout=1.0)[0]:
                    self._take(ref)
        finally:
            self._summary.seconds = time.perf_counter() - started
            self._summary.engine_seconds /= max(1, self._opened)

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for hand in self._hands:
            with suppress(Exception):  # a lost one, or a cluster that is gone
                ray.kill(hand.actor)
        self._hands.clear()

    def _is_all_done(self) -> bool:
        return bool(self._fixed) and not self._left and not self._back and not any(h.sent for h in self._hands)

    def _grow(self) -> None:
        """Start a worker wherever there is room. Raises ModelError: there is none, for a while."""
        now = time.monotonic()
        if now - self._grown < GROW_EVERY:
            return
        self._grown = now
        room = sum(map(self._shape.fits, ray.nodes()))
        self._room_seen = now if room else self._room_seen
        if not room and (now - self._room_seen > LONELY or not self._opened):
            mend = "give each fewer: --ray-cpus" if self._shape.cpus > 1 else "see what it has: ray status"
            raise ModelError(f"no machine of the cluster has {_words(self._shape)} for a worker", mend=mend)
        if room and room <= self._unusable and not self._hands:
            raise ModelError("no machine of the cluster can be used", mend="each has said why; run it again to go on")
        for _ in range(min(room - self._unusable, max(1, self._left)) - len(self._hands)):
            actor = self._make()
            self._hands.append(_Hand(actor, actor.place.remote(), actor.open.remote(self._told)))
        if now > self._patient_until and not any(hand.host for hand in self._hands):
            self._say(f"waiting for the cluster to have {_words(self._shape)} free")
            self._patient_until = math.inf

    def _feed(self) -> None:
        """Give every worker the parts it may have, those that have least first."""
        for depth in range(QUEUED):
            for hand in self._hands:
                if hand.open and len(hand.sent) <= depth:
                    chunk = self._next(hand)
                    if chunk is None:
                        return
                    hand.sent.append((hand.actor.fill.remote([_absolute(pair) for pair in chunk.pairs]), chunk))

    def _next(self, hand: _Hand) -> _Chunk | None:
        if self._back:
            return self._back.popleft()
        wanted = max(hand.rate * SECONDS, self._order.settings.batch, FIRST if not hand.rate else 1)
        fair = self._left / (QUEUED * max(1, sum(h.open for h in self._hands)))
        pairs: list[Pair] = []
        while self._left and len(pairs) < max(1, min(wanted, fair)):
            self._left -= 1
            pair = self._with_key(next(self._pairs))
            if not self._order.settings.overwrite and pair.key and self._report.is_done(pair, pair.key):
                self._summary.skipped += 1
                self._on_done(None, "")
            else:
                pairs.append(pair)
        self._report.begin(pair.output for pair in pairs)
        return _Chunk(pairs) if pairs else None

    def _with_key(self, pair: Pair) -> Pair:
        try:
            return replace(pair, key=key_of(pair, self._fixed))
        except OSError:  # gone since its folder was listed: the worker says so
            return pair

    def _take(self, ref: Any) -> None:
        """An answer has come, or the news that none will."""
        hand = next(hand for hand in self._hands if ref in hand.pending())
        try:
            answer = ray.get(ref)
        except RayTaskError:
            raise  # a bug of ours, with its trace
        except RayError as error:
            self._lose(hand, error)
            return
        if hand.placed is not None:
            hand.placed, hand.host = None, answer
        elif not hand.open:
            self._welcome(hand, answer)
        else:
            self._book(hand, hand.sent.popleft()[1], answer)

    def _welcome(self, hand: _Hand, answer: Opened | LgnetError) -> None:
        """The first engine says what is done already, and must open; later ones that do not are passed over."""
        if isinstance(answer, Opened) and not self._fixed:
            self._weights = answer.info.weights_sha256
            self._fixed = self._order.settings.fixed_part(self._weights)
            info = answer.info
            self._say(f"back end: {info.backend}, {answer.why} ({info.device}, {info.precision}) on {answer.host}")
        elif isinstance(answer, Opened) and answer.info.weights_sha256 != self._weights:
            answer = ModelError(f"its model is another: {answer.info.weights_sha256}")
        if isinstance(answer, Opened):
            hand.open, self._stillborn, self._opened = True, 0, self._opened + 1
            return
        if not self._fixed:
            raise type(answer)(f"on {hand.host}: {answer.args[0]}", mend=answer.mend)
        self._say(f"a worker on {hand.host} cannot be used: {answer}")
        self._unusable += 1
        self._end(hand)

    def _lose(self, hand: _Hand, error: RayError) -> None:
        """Whatever it had finished is booked; the rest goes to others."""
        self.lost += 1
        self._stillborn += not hand.open
        if self._stillborn > STILLBORN:
            raise ModelError(f"workers are lost while they load the model: {error}")
        self._end(hand)
        unfinished = []
        for ref, chunk in hand.sent:
            try:
                self._book(hand, chunk, ray.get(ref, timeout=0))
            except (RayError, TimeoutError):
                unfinished.append(chunk)
        self._say(
            f"a worker {f'on {hand.host} ' if hand.host else ''}is lost ({_first_line(error)}); images of its that "
            f"go to others: {sum(len(chunk.pairs) for chunk in unfinished)}"
        )
        for chunk in reversed(unfinished[1:]):
            self._back.appendleft(chunk)
        if unfinished:  # the first is what it was at
            self._give_back(unfinished[0])
        self._grown = -math.inf

    def _give_back(self, chunk: _Chunk) -> None:
        lost = chunk.lost + 1
        if len(chunk.pairs) > 1:
            size = math.ceil(len(chunk.pairs) / SPLIT)
            parts = [chunk.pairs[at : at + size] for at in range(0, len(chunk.pairs), size)]
            self._back.extendleft(_Chunk(part) for part in reversed(parts))
        elif lost < TRIES:
            self._back.appendleft(_Chunk(chunk.pairs, lost))
        else:
            pair = chunk.pairs[0]
            said = f"{pair.image}: {lost} workers were lost while they filled it"
            self._record(pair, Record("", "", "", "failed", key=pair.key, error=said), "")

    def _end(self, hand: _Hand) -> None:
        self._hands.remove(hand)
        with suppress(Exception):
            ray.kill(hand.actor)

    def _book(self, hand: _Hand, chunk: _Chunk, part: Part) -> None:
        pairs = {str(_absolute(pair).output): pair for pair in chunk.pairs}
        for record, trace in part.records:
            self._record(pairs.pop(record.output), record, trace)
        assert not pairs, "the pipeline records every image"
        hand.rate = len(chunk.pairs) / max(part.summary.seconds, 1e-3)
        self._summary.engine_seconds += part.summary.engine_seconds

    def _record(self, pair: Pair, record: Record, trace: str) -> None:
        record.input, record.mask, record.output = str(pair.image), str(pair.mask), str(pair.output)
        add_line(record, self._report)
        self._summary.count(record)
        self._on_done(record, trace)


def _absolute(pair: Pair) -> Pair:
    """Workers run in other folders, and where a path leads must not depend on it."""
    image, mask, output = (p if is_remote(p) else p.absolute() for p in (pair.image, pair.mask, pair.output))
    return replace(pair, image=image, mask=mask, output=output)


def _words(shape: Shape) -> str:
    return f"{shape.cpus} CPU{'s' if shape.cpus > 1 else ''}{' and a GPU' if shape.gpus else ''}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
