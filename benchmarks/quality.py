"""`lgnet bench quality`, top to bottom: photos -> masks -> every method fills -> every metric -> rows -> means.

A photo is read once and filled under all its masks by all methods; a few photos are on their way at a time, so memory
does not depend on how many there are. Every figure is on disk as soon as it is there, for `--resume`.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from lgnet_cli.benchmarks.gallery import write_pictures
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.judges import Judges, Known
from lgnet_cli.benchmarks.methods import Method, Truncating, against, checked, merged, this_model
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.outcome import outcome, write_outcome
from lgnet_cli.benchmarks.product import products
from lgnet_cli.benchmarks.rows import Rows
from lgnet_cli.benchmarks.samples import (
    MadeUp,
    Masks,
    Photo,
    Sample,
    each_bucket,
    find_photos,
    read_photo,
    same_name,
    square,
)
from lgnet_cli.engines.select import cache_folder
from lgnet_cli.errors import Interrupted, LgnetError, UsageError
from lgnet_cli.ordered import in_order

TOLD = 10
"""Failures told as they happen; all are counted, and listed in quality.json."""


def run_quality(job: QualityJob) -> dict[str, Any]:
    """Measure, and write OUT/quality.json, images.csv and pictures/.

    Returns:
        What quality.json holds, without "images", which has a row for every picture: that is in the file alone.

    Raises:
        UsageError: the options do not fit each other or the folders.
        NothingToDo: no photo, or no mask in any bucket.
        ModelError: the model, a back end or a metric's weight file is broken, or a named one is missing.
        Interrupted: Ctrl-C; what was measured is kept.
    """
    if job.out is None:
        if job.resume:
            raise UsageError("--resume goes on with what a folder holds, and none is given", mend="name it: -o OUT")
        with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
            return _run(job, Path(folder), keep=False)
    job.out.mkdir(parents=True, exist_ok=True)
    return _run(job, job.out, keep=True)


def open_masks(job: QualityJob, photos: list[Photo]) -> Masks:
    """Where the job's masks come from. Raises UsageError, NothingToDo, FileError."""
    if job.masks is None:
        return MadeUp(job.seed)
    if job.each_bucket:
        return each_bucket(job.masks, job.size, job.mask_options, job.threads)
    return same_name(job.masks, photos, job.mask_options)


def evaluate(
    job: QualityJob,
    photos: list[Photo],
    masks: Masks,
    methods: list[Method],
    judges: Judges,
    folder: Path,
    *,
    keep: bool = True,
) -> dict[str, Any]:
    """Measure `methods` on `photos` under `masks`, with the rows in `folder`, and all the rest there if `keep`."""
    rows = Rows(folder, resume=job.resume, overwrite=job.overwrite)
    run = Run(job, masks, methods, judges, rows)
    try:
        run.measure(photos)
        found = outcome(job, photos, masks, methods, judges, rows, run.failed)
        if keep:
            found["pictures"] = write_pictures(job, photos, masks, methods, rows, folder)
            write_outcome(found, rows, folder)
    finally:
        rows.close()
    return found


def _run(job: QualityJob, folder: Path, *, keep: bool) -> dict[str, Any]:
    photos = find_photos(job.images, job.limit)
    masks = open_masks(job, photos)
    methods = _methods(job)
    torch.set_num_threads(1 if job.threads > 1 else torch.get_num_threads())  # the workers are the parallelism
    judges = Judges(job.weights_dir, vgg=job.lpips_vgg, cache=cache_folder() / "features")
    return evaluate(job, photos, masks, methods, judges, folder, keep=keep)


def _methods(job: QualityJob) -> list[Method]:
    if job.weights and job.engine:
        raise UsageError("--weights and --engine exclude each other", mend="an engine carries its weights")
    if job.paper_compat and (job.engine or job.backends != ("auto",)):
        raise UsageError("--paper-compat runs the weights in PyTorch: it takes neither --engine nor --backend")
    threads = 1 if job.threads > 1 else None
    network: list[Method] = (
        [Truncating(job.weights, job.size)]
        if job.paper_compat
        else [*this_model(list(job.backends), job.weights, job.engine, job.size, threads)]
    )
    others = against(list(job.against), job.seed, threads)
    if job.paper_compat:
        return checked([*network, *others])
    users = products(job.backends, job.weights, job.engine)  # first: the gallery has its worst pictures
    return checked([*users, *others, *network])  # the paper's rows, if asked for, come next to the network's


@dataclass
class Done:
    """What became of one photo."""

    rows: list[dict[str, Any]]
    failed: list[dict[str, str]]


class Run:
    """The measuring of one job."""

    def __init__(self, job: QualityJob, masks: Masks, methods: list[Method], judges: Judges, rows: Rows) -> None:
        self._job, self._masks, self._methods, self._judges, self._rows = job, masks, methods, judges, rows
        self._columns = " ".join(sorted(judges.columns))
        self.failed: list[dict[str, str]] = []

    def measure(self, photos: list[Photo]) -> None:
        """Every photo under every mask by every method; rows are written here, in the photos' order."""
        pool = ThreadPoolExecutor(self._job.threads, thread_name_prefix="lgnet")
        try:
            with progress(len(photos), self._job.quiet) as advance:
                for done in in_order(pool, self._photo, photos, 2 * self._job.threads):
                    for row in done.rows:
                        self._rows.add(row)
                    self.failed += done.failed
                    advance(done.failed)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command with --resume goes on where it stopped") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _photo(self, photo: Photo) -> Done:
        done = Done([], [])
        try:
            picture = read_photo(photo)
            original = square(picture, self._job.size)
            known: list[Known] = []  # what the networks see in it, once a row asks for it
            for sample in self._masks.of(photo, picture, self._job.size):
                self._sample(sample, original, known, done)
        except (LgnetError, OSError) as error:
            done.failed.append({"method": "", "image": photo.name, "bucket": "", "error": str(error)})
        return done

    def _sample(self, sample: Sample, original: Image, known: list[Known], done: Done) -> None:
        results: dict[tuple[str, str], Image] = {}
        for method in self._methods:
            try:
                key = self._key(method, sample)
                if not self._rows.is_done(key):
                    results[method.name, key] = merged(method, sample, original)
            except (LgnetError, OSError) as error:
                done.failed.append(
                    {"method": method.name, "image": sample.photo.name, "bucket": sample.bucket, "error": str(error)}
                )
        if results:
            known[:] = known or [self._judges.know(original)]
            measured = self._judges.measure(known[0], list(results.values()), sample.hole)
            for (name, key), values in zip(results, measured, strict=True):
                about = {"method": name, "image": sample.photo.name, "bucket": sample.bucket,
                         "mask_ratio": round(sample.ratio, 6), "seed": sample.seed}  # fmt: skip
                done.rows.append({"key": key, "original_sha256": known[0].sha256, **about, **values})

    def _key(self, method: Method, sample: Sample) -> str:
        """Of all that a row depends on."""
        has_features = self._judges.features is not None
        facts = (method.name, method.source, method.facts(sample), sample.photo.facts, sample.facts, sample.bucket,
                 self._job.mask_options.polarity, self._job.size, self._columns, has_features)  # fmt: skip
        return hashlib.sha256("\0".join(map(str, facts)).encode(errors="surrogateescape")).hexdigest()[:16]


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[list[dict[str, str]]], None]]:
    """A bar with count and time left where a person watches; the first failures are told either way."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = [BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    bar = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
    task = bar.add_task("", total=total)
    told = 0

    def advance(failed: list[dict[str, str]]) -> None:
        nonlocal told
        for failure in failed[: TOLD - told]:
            told += 1
            said = failure["error"].encode(errors="backslashreplace").decode()  # names need not be Unicode
            bar.console.print(f"failed: {said}", markup=False)
        bar.advance(task)

    with bar:
        yield advance
