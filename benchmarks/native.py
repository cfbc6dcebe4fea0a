"""`lgnet bench quality --native`, top to bottom: whole photos -> masks -> every method fills -> figures -> means.

One photo at a time, filled by one method after the other, so that memory does not depend on how many there are. Every
figure is on disk as soon as it is there, for `--resume`.
"""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import Method, merged
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native_gallery import write_windows
from lgnet_cli.benchmarks.native_judge import Distance, StLpips, Subject, measure, subject_of
from lgnet_cli.benchmarks.native_masks import MadeUpNative, NativeMasks, given
from lgnet_cli.benchmarks.native_methods import Themselves, native_methods
from lgnet_cli.benchmarks.native_outcome import native_outcome
from lgnet_cli.benchmarks.quality import progress
from lgnet_cli.benchmarks.rows import Rows
from lgnet_cli.benchmarks.samples import Photo, Sample, find_photos, read_photo
from lgnet_cli.errors import Interrupted, LgnetError, UsageError
from lgnet_cli.imaging.picture import to_rgb

ROWS = "native-rows.jsonl"

Failure = dict[str, str]


def run_native(job: QualityJob) -> dict[str, Any]:
    """Measure, and write OUT/native-rows.jsonl and OUT/native-pictures/.

    Returns:
        What native.json holds, the rows of single photos among it.

    Raises:
        UsageError: the options do not fit each other or the folders.
        NothingToDo: no photo.
        ModelError: the model, a back end or ST-LPIPS' weight file is broken or missing.
        Interrupted: Ctrl-C; what was measured is kept.
    """
    if job.out is None:
        if job.resume:
            raise UsageError("--resume goes on with what a folder holds, and none is given", mend="name it: -o OUT")
        with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
            return _run(job, Path(folder), keep=False)
    job.out.mkdir(parents=True, exist_ok=True)
    return _run(job, job.out, keep=True)


def open_native_masks(job: QualityJob, photos: list[Photo]) -> NativeMasks:
    """Where the job's masks come from. Raises UsageError."""
    return given(job.masks, photos, job.mask_options) if job.masks else MadeUpNative(job.seed)


def evaluate_native(
    job: QualityJob,
    photos: list[Photo],
    masks: NativeMasks,
    methods: list[Method],
    distance: Distance,
    folder: Path,
    *,
    keep: bool = True,
) -> dict[str, Any]:
    """Measure `methods`, and the photos themselves; the rows are in `folder`, and if `keep`, the worst windows too."""
    rows = Rows(folder, resume=job.resume, overwrite=job.overwrite, name=ROWS)
    measured = [*methods, Themselves()]
    run = NativeRun(job, masks, measured, distance, rows)
    try:
        run.measure(photos)
        found = native_outcome(job, photos, masks, measured, list(rows), run.failed)
    finally:
        rows.close()
    if keep:
        found["pictures"] = write_windows(job, photos, masks, methods, found["images"], folder)
    return found


def _run(job: QualityJob, folder: Path, *, keep: bool) -> dict[str, Any]:
    photos = find_photos(job.images, job.limit)
    masks = open_native_masks(job, photos)
    return evaluate_native(job, photos, masks, native_methods(job), StLpips(job.weights_dir), folder, keep=keep)


class NativeRun:
    """The measuring of one job."""

    def __init__(
        self, job: QualityJob, masks: NativeMasks, methods: list[Method], distance: Distance, rows: Rows
    ) -> None:
        self._job, self._masks, self._methods, self._distance, self._rows = job, masks, methods, distance, rows
        self.failed: list[Failure] = []

    def measure(self, photos: list[Photo]) -> None:
        """Every photo by every method; a row is written as soon as it is there."""
        try:
            with progress(len(photos), self._job.quiet) as advance:
                for photo in photos:
                    failed = self._photo(photo)
                    self.failed += failed
                    advance(failed)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command with --resume goes on where it stopped") from None

    def _photo(self, photo: Photo) -> list[Failure]:
        failed: list[Failure] = []
        try:
            picture = read_photo(photo)
            sample = self._masks.of(photo, picture)
            wanted = self._missing(sample, failed)
            if wanted:
                subject = subject_of(sample, to_rgb(picture.pixels, picture.kind), self._distance)
                for key, method in wanted.items():
                    self._row(key, method, subject, failed)
        except (LgnetError, OSError) as error:
            failed.append(_failure("", photo, error))
        return failed

    def _missing(self, sample: Sample, failed: list[Failure]) -> dict[str, Method]:
        """{key: method} of the rows that are not there yet."""
        found = {}
        for method in self._methods:
            try:
                key = self._key(method, sample)
            except (LgnetError, OSError) as error:
                failed.append(_failure(method.name, sample.photo, error))
            else:
                if not self._rows.is_done(key):
                    found[key] = method
        return found

    def _row(self, key: str, method: Method, subject: Subject, failed: list[Failure]) -> None:
        sample = subject.sample
        try:
            filled, seconds = _timed(method, sample, subject.original)
        except (LgnetError, OSError) as error:
            failed.append(_failure(method.name, sample.photo, error))
            return
        about = {"method": method.name, "image": sample.photo.name, "bucket": sample.bucket, "seed": sample.seed,
                 "mask_ratio": round(sample.ratio, 6), "windows": subject.windows}  # fmt: skip
        self._rows.add({"key": key, **about, **measure(subject, filled, self._distance), "seconds": seconds})

    def _key(self, method: Method, sample: Sample) -> str:
        """Of all that a row depends on."""
        facts = (method.name, method.source, method.facts(sample), sample.photo.facts, sample.facts)
        return hashlib.sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]


def _timed(method: Method, sample: Sample, original: Image) -> tuple[Image, float]:
    started = time.perf_counter()
    filled = merged(method, sample, original)
    return filled, round(time.perf_counter() - started, 3)


def _failure(method: str, photo: Photo, error: Exception) -> Failure:
    return {"method": method, "image": photo.name, "bucket": "", "error": str(error)}
