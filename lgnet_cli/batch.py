"""`lgnet inpaint` around the pipeline: checks before the model loads, progress, and the summary."""

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .atomic import remove_leftovers
from .checks import check, check_named_result, check_results
from .engines.select import ON_CPU, choose, open_engine
from .errors import DeviceLost, FileError, Interrupted, MissingBackend, UsageError
from .escape import printable as _printable
from .finders.options import FindOptions
from .imaging import labels
from .imaging.formats import SUFFIXES
from .imaging.masks import MaskOptions
from .imaging.pairs import Plan, make_plan
from .imaging.spool import Pairs
from .interruption import interrupt_on_signals
from .lock import locked
from .pipeline import SWITCH_SECONDS, Summary, run
from .places import check_writable, is_dir, is_file, is_remote, make_folder, place
from .processes import CAN_SHARE, Processes, processes
from .report import Record, Report, results_in
from .results import Results
from .stages import Settings

OnDone = Callable[[Record | None, str], None]
Fill = Callable[[Pairs, Report, Summary, OnDone], None]

KEPT = "masks"
"""The folder in OUT in which found masks are kept."""

INTERRUPTED = "interrupted; the same command goes on where it stopped"

REDRAWN = 0.1
"""Seconds between two changes of the progress bar: drawing costs more than passing over an image that is done."""

MANY = 200
"""Images for which processes are worth their start, which takes each half a second of a core."""


@dataclass(frozen=True)
class Job:
    """What the command line asks for; see the options of `lgnet inpaint`."""

    images: str
    masks: Path | None  # None where they are found, or lie in the images
    out: Path
    weights: Path | None
    engine: Path | None
    trust_engine: bool
    backend: str
    threads: int | None
    processes: int | None
    batch: int
    polarity: str
    threshold: int
    mask_source: str
    dilate: int
    resize_masks: bool
    mode: str
    margin: int
    merge: bool
    refine: str
    seed: int
    candidates: int
    format: str | None
    quality: int
    max_pixels: int
    shard: tuple[int, int] | None
    ray: str | None
    ray_cpus: int | None
    allow_missing: bool
    overwrite: bool
    dry_run: bool
    page: bool
    json: bool
    verbose: bool
    mask_values: str = ""
    mask_drawn_on: str = "auto"
    find: FindOptions | None = None
    keep_masks: bool = False


def run_job(job: Job) -> None:
    """Check, load, fill, sum up. Raises LgnetError with the exit code of what went wrong."""
    interrupt_on_signals(INTERRUPTED)
    console = Console(stderr=True, highlight=False, quiet=job.json, soft_wrap=True)
    if job.weights and job.engine:
        raise UsageError("--weights and --engine exclude each other", mend="an engine carries its weights")
    if job.processes and not CAN_SHARE:
        raise UsageError("--processes needs Linux", mend="leave it out: threads do the same")
    if job.processes and job.ray:
        raise UsageError("--processes is for this machine alone, not for --ray", mend="leave one of them out")
    if job.ray and not importlib.util.find_spec("ray"):
        raise MissingBackend("--ray: Ray is not installed here", mend="install it with: pip install 'lgnet[ray]'")
    labels.check(job.mask_values)
    if job.mask_values and job.mask_source == "alpha":
        raise UsageError("--mask-values and --mask-from alpha exclude each other", mend="leave one of them out")
    check_writable(job.out)
    if job.find:
        _check_find(job)
    try:
        if is_file(place(job.images)):
            check_named_result(job.out, job.format)
        single = job.out.suffix.lower() in SUFFIXES and is_file(place(job.images)) and not is_dir(job.out)
        if job.ray and single:
            raise UsageError("--ray fills folders", mend="leave it out for one file")
        if job.page and single:
            raise UsageError("--report shows a folder of results", mend=f"give a folder: -o {job.out.with_suffix('')}/")
        if job.candidates > 1 and single:
            mend = f"give a folder: -o {job.out.with_suffix('')}/"
            raise UsageError("--candidates writes several results and a page to choose from", mend=mend)
        plan = make_plan(job.images, job.masks, job.out, job.format, job.shard, job.mask_source == "alpha")
        plan.pairs.draw(job.seed, job.candidates)
        check(plan, job, single, console)
    except (OSError, RuntimeError) as error:  # IMAGES, MASKS or OUT locked, in a loop of links, or out of reach
        raise UsageError(f"refused before anything was done: {error}") from error
    if job.dry_run:
        if not single:
            check_results(plan, job, results_in(job.out), console)
        for pair in plan.pairs:
            print(_printable(f"{pair.image} + {pair.mask} -> {pair.output}"))
        return
    if single:
        _fill(plan, job, SUFFIXES[job.out.suffix.lower()], None, None, console)
        return
    try:
        make_folder(job.out)
    except OSError as error:
        raise UsageError(f"{job.out}: cannot be made: {error.strerror}", mend="give another folder: -o") from error
    with locked(job.out, job.shard) as dead:
        if dead:
            console.print(f"the run before was killed ({dead}); what it left unfinished is gone", markup=False)
        results = results_in(job.out)
        check_results(plan, job, results, console)
        _fill(plan, job, job.format, job.out, results, console)


def _check_find(job: Job) -> None:
    """Raise UsageError or MissingBackend for finders that cannot run, before anything is listed."""
    from .finders.find import check

    assert job.find
    if job.ray:
        raise UsageError("--find runs on this machine, not on --ray", mend="first: lgnet masks find IMAGES -o MASKS")
    if job.page and not job.keep_masks:
        raise UsageError("--report shows the masks, which --find does not keep", mend="add --keep-masks")
    if job.keep_masks and (is_remote(job.out) or is_dir(place(job.images) / KEPT)):
        raise UsageError(f"--keep-masks needs an OUT on this machine, and IMAGES without a folder {KEPT}/ of their own")
    check(job.find)


def _fill(
    plan: Plan, job: Job, output_format: str | None, folder: Path | None, results: Results | None, console: Console
) -> None:
    masks = MaskOptions(
        job.polarity, job.threshold, job.mask_source, job.dilate, job.resize_masks, job.mask_values, job.mask_drawn_on  # type: ignore[arg-type]
    )  # fmt: skip
    settings = Settings(
        masks, job.mode, job.margin, job.merge, job.refine, output_format, job.quality, job.batch, job.overwrite,  # type: ignore[arg-type]
        job.max_pixels,
        find=_surveyed(plan, job), keep=(folder, folder / KEPT) if job.keep_masks and folder else None,
    )  # fmt: skip
    fill = _on_ray(job, settings, folder, console) if job.ray else _here(job, settings, len(plan.pairs), console)
    report, summary = Report(folder, job.shard, results), Summary()
    try:
        with _progress(console, len(plan.pairs), job) as on_done:
            fill(plan.pairs, report, summary, on_done)
    except KeyboardInterrupt:
        _sum_up(summary, job, console)
        raise Interrupted(INTERRUPTED) from None
    except DeviceLost:
        _sum_up(summary, job, console)
        raise
    finally:
        report.close()
    _sum_up(summary, job, console)
    if folder and (job.page or job.candidates > 1):
        from .gallery.batch import write_batch_page

        page = write_batch_page(folder, masks, job.max_pixels, candidates=job.candidates)
        console.print(f"the pictures: {page}", markup=False)
    if summary.failed:
        where = f"; see {report.path}" if folder else ""
        raise FileError(f"{summary.failed} of {len(plan.pairs)} images failed{where}")


def _surveyed(plan: Plan, job: Job) -> FindOptions | None:
    """What to find, with what `constant` has to know of all photos before the first."""
    if job.find is None:
        return None
    from .finding import surveyed

    return surveyed(plan.pairs, job.find, job.max_pixels)


def _here(job: Job, settings: Settings, total: int, console: Console) -> Fill:
    choice = choose(job.backend, job.engine)
    count = _processes(job, choice.name, total)
    helpers = Processes(count) if count else None  # they start while the engine loads
    try:
        engine = open_engine(
            choice, weights=job.weights, engine=job.engine, threads=job.threads, trust=job.trust_engine
        )
    except BaseException:
        if helpers:
            helpers.close()
        raise
    console.print(
        f"back end: {choice.name}, {choice.why} ({engine.info.device}, {engine.info.precision})"
        + (f"; {count} processes decode and encode" if count else "")
        + (f"\nbeware: {_printable(engine.info.beware)}" if engine.info.beware else ""),
        markup=False,
    )
    sys.setswitchinterval(SWITCH_SECONDS)

    def fill(pairs: Pairs, report: Report, summary: Summary, on_done: OnDone) -> None:
        try:
            run(pairs, engine, settings, report, summary, on_done, helpers)
        finally:
            engine.close()

    return fill


def _processes(job: Job, backend: str, total: int) -> int:
    """How many decode and encode; 0 for threads, which do for engines on a CPU, and for a few images."""
    if job.processes is not None:
        return job.processes
    return processes() if total >= MANY and backend not in ON_CPU and CAN_SHARE else 0


def _on_ray(job: Job, settings: Settings, folder: Path | None, console: Console) -> Fill:
    from .cluster import make_order, run_on_ray, wants_gpu

    assert job.ray
    order = make_order(job.backend, job.weights, job.engine, job.trust_engine, settings, folder, job.shard)
    gpu = wants_gpu(job.backend, job.engine)

    def fill(pairs: Pairs, report: Report, summary: Summary, on_done: OnDone) -> None:
        def say(said: str) -> None:
            console.print(_printable(said), markup=False)

        lost = run_on_ray(
            job.ray or "auto", pairs, len(pairs), order, gpu, job.ray_cpus, job.threads, report, summary, on_done, say
        )
        if lost and folder:
            remove_leftovers(folder, *order.writer)

    return fill


@contextmanager
def _progress(console: Console, total: int, job: Job) -> Iterator[OnDone]:
    """A bar with count, rate and time left where a person watches; failures are printed either way."""
    columns = [BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()]
    bar = Progress(*columns, console=console, disable=not console.is_terminal or job.json, transient=True)
    task, started = bar.add_task("", total=total, rate=""), time.perf_counter()
    done, drawn = 0, started
    told: set[str] = set()

    def on_done(record: Record | None, trace: str) -> None:
        nonlocal done, drawn
        if record and record.error:
            bar.console.print(f"failed: {_printable(record.error)}", markup=False)
        if record and not record.error:
            for note in [note for note in record.notes if note not in told]:
                told.add(note)  # once; of all others that it is true of, the report says it
                bar.console.print(_printable(f"note: {record.input}: {note}"), markup=False)
        if trace and job.verbose:
            bar.console.print(trace, markup=False)
        done, now = done + 1, time.perf_counter()
        if now - drawn > REDRAWN or done == total:
            drawn = now
            bar.update(task, completed=done, rate=f"{done / (now - started):.1f} images/s")

    with bar:
        yield on_done


def _sum_up(summary: Summary, job: Job, console: Console) -> None:
    if job.json:
        print(json.dumps(asdict(summary)))
        return
    refined, rate = summary.refine_seconds / max(summary.filled, 1), summary.done / max(summary.seconds, 1e-9)
    share = 100 * summary.engine_seconds / max(summary.seconds, 1e-9)
    console.print(
        f"{summary.filled} filled, {summary.copied} copied (nothing to fill), {summary.failed} failed, "
        f"{summary.skipped} done before; {summary.seconds:.1f} s, {rate:.1f} images/s, "
        f"engine busy {share:.0f} %" + (f", refining {refined:.3g} s an image" if refined else "")
    )
