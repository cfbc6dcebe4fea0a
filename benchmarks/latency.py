"""`lgnet bench latency`: what every back end costs on this machine, and whether it computes the right thing.

`measure` gives one dictionary that holds everything, raw times included; `benchmarks/report.py` shows it.
"""

import datetime
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from lgnet_cli import __version__
from lgnet_cli.benchmarks import machine
from lgnet_cli.benchmarks.compare import AGREES_DB, compare
from lgnet_cli.benchmarks.contenders import UPSTREAM, make_weights, open_contender, pictures, reference, width_of
from lgnet_cli.benchmarks.endtoend import rates
from lgnet_cli.benchmarks.once import CALLS, Once, once
from lgnet_cli.engines.protocol import Engine
from lgnet_cli.engines.select import BACKENDS, choose, cuda_devices
from lgnet_cli.errors import EngineError, LgnetError, UsageError

PRECISIONS = ("fp32", "fp16")
"""Of engines, and so of a GPU's measured peaks."""

DEFINITIONS = {
    "cold_start_s": "seconds from starting a process to a loaded engine, files in the page cache; median of the starts",
    "first_ms": "milliseconds of the first call in such a process; median of the starts",
    "median_ms": "milliseconds a call (the whole batch), from pixels in memory to pixels in memory, after a warm-up",
    "p95_ms": "the same, 95th percentile",
    "p99_ms": "the same, 99th percentile; of fewer than 100 calls it is close to the slowest one",
    "images_s": "images a second of those calls: batch / median",
    "inpaint_images_s": "images/s of lgnet inpaint --hd original on PNGs, decode to encode; median of the starts",
    "engine_busy_percent": "share of that time in which the engine computes",
    "main_memory_mib": f"most main memory of a process that loads the engine and fills {CALLS} times, MiB; a GPU's own "
    "memory is not in it",
    "worst": "largest difference from the PyTorch model over all hole pixels, of 255",
    "psnr_db": f"PSNR in the holes against the PyTorch model, dB; below {AGREES_DB:.0f}, the engine counts as wrong",
    "upstream_ratio": "median beside that of upstream's formulas in PyTorch: 0.5 is half the time",
    "reached_percent": "the floor beside the median; the floor is the longer of FLOP / measured matmul peak and "
    "bytes / measured copy rate; FLOP are of NetL everywhere, where back ends on a CPU compute it around the holes",
}
BETTER = dict.fromkeys(
    ("cold_start_s", "first_ms", "median_ms", "p95_ms", "p99_ms", "main_memory_mib", "upstream_ratio"), "lower"
) | dict.fromkeys(("images_s", "inpaint_images_s", "reached_percent"), "higher")
"""Of the columns in which one row wins; agreement is no contest."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    backends: tuple[str, ...] = ()  # as `--backend` names them; none: all there are, with the reason where one cannot
    batches: tuple[int, ...] = (1,)
    sizes: tuple[int, ...] = (256,)  # pixels of a side, multiples of 256
    widths: tuple[int, ...] = ()  # base widths; none: that of the weights
    weights: Path | None = None  # native; the model that ships if None
    upstream: bool = False  # a row of upstream's formulas
    runs: int = 30  # counted calls of each
    seconds: float = 60.0  # after which a configuration's rounds end early
    starts: int = 3  # processes of each: fresh ones that load and fill, and as many of `lgnet inpaint`; medians count
    images: int = 40  # photos for `lgnet inpaint`, at most


def names(listed: str) -> tuple[str, ...]:
    """Back ends named with commas; none for "all"."""
    return () if listed == "all" else tuple(listed.split(","))


def numbers(listed: str, multiple: int = 1) -> tuple[int, ...]:
    """Whole numbers with commas. Raises UsageError: others, or no multiples of `multiple`."""
    found = tuple(int(text) if text.isdecimal() else 0 for text in listed.split(","))
    if any(number < 1 or number % multiple for number in found):
        raise UsageError(f"{listed!r}: expected whole numbers with commas, multiples of {multiple}")
    return found


def measure(options: Options, command: list[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything, in turn.

    Args:
        options: what.
        command: how it was asked for, for the record.
        say: called with a line of progress now and then.

    Raises:
        UsageError: no back end has that name.
        MissingBackend: a back end that was named is not installed, or a width takes PyTorch, which is not.
        ModelError: the weights cannot be read.
    """
    for name in options.backends:
        choose(name)  # a name that does not exist is told at once
    say("the machine's matmul and copy rates")
    facts, peaks = machine.describe(), _peaks(PRECISIONS)
    rows: list[dict[str, Any]] = []
    configurations: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for width, weights in _models(options, Path(folder), say):
            engines, refused = open_engines(options, weights)
            for size, batch in product(options.sizes, options.batches):
                say(f"width {width}, {size} x {size}, batch {batch}: {', '.join(engines) or 'nothing can run'}")
                where = {"width": width, "size": size, "batch": batch}
                found = _configuration(engines, weights, size, batch, options)
                rows += [where | row for row in [*found, *refused]]
                configurations.append(where | _cost(width, size, batch))
            for engine in engines.values():
                engine.close()
    later = _peaks(PRECISIONS)  # the better of two times: a peak that other work held down would flatter every row
    peaks = {name: max(rate, later[name]) for name, rate in peaks.items()}
    _add_floors(rows, configurations, peaks)
    return {
        "kind": "latency",
        "lgnet": __version__,
        "command": command,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": facts,
        "versions": machine.versions(),
        "peaks": peaks,
        "options": asdict(options) | {"weights": str(options.weights or "the model that ships")},
        "definitions": DEFINITIONS,
        "missing": _missing(options),
        "columns": list(DEFINITIONS),
        "better": BETTER,
        "configurations": configurations,
        "rows": rows,
    }


def _models(options: Options, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[int, Path | None]]:
    """(width, weights) of each model to measure: those given, and random ones of other widths."""
    own = width_of(options.weights)
    for width in options.widths or (own,):
        if width == own:
            yield width, options.weights
        else:
            say(f"width {width}: making random weights and their graph")
            yield width, make_weights(width, folder)


def open_engines(options: Options, weights: Path | None) -> tuple[dict[str, Engine], list[dict[str, Any]]]:
    """The engines of one model, and rows that say why for those that cannot be. A named one must be."""
    engines, refused = {}, []
    baselines = [UPSTREAM, *([f"{UPSTREAM}-cuda"] if cuda_devices() else [])] if options.upstream else []
    for name in [*baselines, *(options.backends or BACKENDS)]:
        try:
            engines[name] = open_contender(name, weights)
        except LgnetError as error:
            if name in options.backends:
                raise
            refused.append({"backend": name, "why": str(error)})
    return engines, refused


def _configuration(
    engines: Mapping[str, Engine], weights: Path | None, size: int, batch: int, options: Options
) -> list[dict[str, Any]]:
    """A row for each engine: in this process, in processes of its own, and under `lgnet inpaint`."""
    image, mask = pictures(batch, size)
    right = reference(weights, image, mask) if find_spec("torch") else None
    rows = {row["backend"]: row for row in compare(engines, image, mask, right, options.runs, options.seconds)}
    for _ in range(options.starts):
        for name in [name for name, row in rows.items() if "why" not in row]:
            _keep(rows[name], lambda n=name: once(n, weights, size, batch))  # type: ignore[misc]
    running = [name for name, row in rows.items() if "why" not in row and UPSTREAM not in name]
    count = _photos([rows[name]["images_s"] for name in running], batch, options)
    for name, rate in rates(running, weights, size, batch, count, options.starts).items():
        rows[name] |= {"why": rate} if isinstance(rate, str) else asdict(rate)
    for row in rows.values():
        _settle(row, rows.get(UPSTREAM, {}).get("median_ms"))
    return list(rows.values())


def _keep(row: dict[str, Any], start: Callable[[], Once]) -> None:
    """Add one process's figures to the row's lists, or why there are none."""
    try:
        for column, value in asdict(start()).items():
            row.setdefault(column, []).append(value)
    except EngineError as error:
        row["why"] = str(error)


def _settle(row: dict[str, Any], baseline_ms: float | None) -> None:
    """Medians in place of the processes' lists, and the ratio to upstream's formulas."""
    for column in Once.__dataclass_fields__:
        if column in row:
            row[column] = statistics.median(row[column])
    if baseline_ms and "median_ms" in row:
        row["upstream_ratio"] = row["median_ms"] / baseline_ms


def _photos(rates_in_memory: list[float], batch: int, options: Options) -> int:
    """How many photos `lgnet inpaint` gets: full batches, few enough that the slowest ends within the time."""
    slowest = min(rates_in_memory, default=1.0)
    return batch * max(1, min(options.images, round(options.seconds * slowest / options.starts)) // batch)


def _cost(width: int, size: int, batch: int) -> dict[str, int | None]:
    if not find_spec("torch"):
        return {"flops": None, "bytes": None}
    from lgnet_cli.benchmarks.cost import cost

    return asdict(cost(width, size, batch))


def _peaks(precisions: Iterable[str]) -> dict[str, float]:
    """Rates of the machine, by what they limit."""
    found = {"matmul_flop_s": machine.matmul_peak(), "copy_bytes_s": machine.copy_rate()}
    if cuda_devices() and find_spec("torch"):
        found |= {f"cuda_{precision}_flop_s": machine.cuda_matmul_peak(precision) for precision in precisions}
    return found


def _add_floors(rows: list[dict[str, Any]], configurations: list[dict[str, Any]], peaks: dict[str, float]) -> None:
    """The least milliseconds a call can take on this machine, and how near to it each row comes."""
    for configuration in configurations:
        mine = [row for row in rows if all(row[key] == configuration[key] for key in ("width", "size", "batch"))]
        for row in mine:
            on_cpu = row.get("device", "CPU").startswith("CPU")
            flop_s = peaks.get("matmul_flop_s" if on_cpu else f"cuda_{row['precision']}_flop_s")
            if configuration["flops"] and flop_s and "median_ms" in row:
                bytes_s = configuration["bytes"] / peaks["copy_bytes_s"] if on_cpu else 0.0  # GPU memory: not measured
                row["floor_ms"] = 1000 * max(configuration["flops"] / flop_s, bytes_s)
                row["reached_percent"] = 100 * row["floor_ms"] / row["median_ms"]


def _missing(options: Options) -> dict[str, str]:
    """What is not in the tables, and how to get it."""
    torch = dict.fromkeys(("worst", "psnr_db", "reached_percent"), "needs PyTorch: pip install 'lgnet[torch]'")
    return ({} if find_spec("torch") else torch) | ({} if options.upstream else {"upstream_ratio": "give --upstream"})
