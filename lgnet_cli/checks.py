"""What is looked at before `lgnet inpaint` begins: all that is wrong is shown at once, and nothing is touched."""

from pathlib import Path
from typing import Protocol

from rich.console import Console

from .errors import NothingToDo, UsageError
from .escape import printable as _printable
from .imaging.formats import NOT_WRITTEN, SUFFIXES
from .imaging.pairs import Plan
from .places import exists, is_dir, is_listed
from .results import Results

NOT_OURS = "output that lgnet did not write, or that was changed since; --overwrite replaces it"
"""Headline for files that lie where results are to go."""

SHOWN = 10
"""Paths listed of each problem before the rest is counted."""


class Asked(Protocol):
    """What is needed to know of the command line: see `batch.Job`."""

    @property
    def images(self) -> str: ...
    @property
    def masks(self) -> Path | None: ...
    @property
    def out(self) -> Path: ...
    @property
    def allow_missing(self) -> bool: ...
    @property
    def overwrite(self) -> bool: ...


def check_named_result(out: Path, output_format: str | None) -> None:
    """Of a single photo: that `out`, if it names a file, can be that file. Raises UsageError."""
    suffix = out.suffix.lower()
    if is_dir(out):
        return
    if suffix in NOT_WRITTEN:
        raise UsageError(f"-o {out}: lgnet writes no {suffix} files", mend=f"it writes {' '.join(SUFFIXES)}")
    if output_format and SUFFIXES.get(suffix, output_format) != output_format:
        said = f"-o {out} is {SUFFIXES[suffix]}, and --format asks for {output_format}"
        raise UsageError(said, mend="leave --format out, or name the file accordingly")


def check(plan: Plan, job: Asked, single: bool, console: Console) -> None:
    """Show all that is wrong at once, then refuse or go on without it. Nothing has been loaded or written yet."""
    if not single and exists(job.out) and not is_dir(job.out):
        plan.fatal["OUT is a file"] = [str(job.out)]
    if single and not job.overwrite:
        existing = [str(pair.output) for pair in plan.pairs if is_listed(pair.output)]
        if existing:
            plan.fatal["output exists already; --overwrite replaces it"] = existing
    _show({**plan.fatal, **plan.skippable}, console)
    refused = {**plan.fatal, **({} if job.allow_missing else plan.skippable)}
    listed = "; ".join(f"{headline} ({len(paths)})" for headline, paths in refused.items())
    if plan.fatal:
        raise UsageError(f"refused before anything was done: {listed}")
    if not plan.matched:
        raise NothingToDo(
            f"no image of {job.images} has a mask in {job.masks}: {listed}" if listed else "nothing to do"
        )
    if refused:
        raise UsageError(f"refused before anything was done: {listed}", mend="to go on without these: --allow-missing")


def check_results(plan: Plan, job: Asked, results: Results, console: Console) -> None:
    """Refuse to replace what an earlier run did not write, or a person has changed since. Raises UsageError."""
    if job.overwrite:
        return
    changed = [str(pair.output) for pair in plan.pairs if _is_anothers(pair.output, results)]
    if changed:
        _show({NOT_OURS: changed}, console)
        raise UsageError(f"refused before anything was done: {NOT_OURS} ({len(changed)}): {changed[0]}")


def _is_anothers(output: Path, results: Results) -> bool:
    try:
        return not results.is_ours(output)
    except FileNotFoundError:
        return False
    except OSError:  # a folder, or nothing that may be read
        return True


def _show(found: dict[str, list[str]], console: Console) -> None:
    for headline, paths in found.items():
        console.print(f"{headline} ({len(paths)}):", style="bold", markup=False)
        for path in paths[:SHOWN]:
            console.print(f"  {_printable(path)}", markup=False)
        if len(paths) > SHOWN:
            console.print(f"  ... and {len(paths) - SHOWN} more")
