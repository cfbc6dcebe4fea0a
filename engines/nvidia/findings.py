"""What `lgnet doctor --gpu-check` found: the report, which grows step by step, and the table made of it."""

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lgnet_cli import __version__
from lgnet_cli.atomic import write_bytes
from lgnet_cli.engines.machine import Machine
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import LgnetError

from .timing import Pace

BEST, OTHERS = Pace(), Pace(warm=0.5, measure=1.0, batches=(1, 16))


@dataclass(frozen=True)
class Thoroughness:
    """How much of it."""

    best: Pace = BEST  # for the engine that this machine is best served by
    others: Pace = OTHERS
    pictures: int = 500  # of the end-to-end run; 0 for none
    wide: bool = True  # whether width 64 is timed
    seconds: float = 170  # after which no further step is begun


class Check:
    """The report as it grows."""

    def __init__(self, machine: Machine, report: Path, console: Console, how: Thoroughness) -> None:
        self.machine, self.console, self.how = machine, console, how
        self.found: dict[str, Any] = {
            "lgnet": __version__, "date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "steps": {},
        }  # fmt: skip
        self.errors: list[Exception] = []
        self.drawn: dict[str, Pixels] = {}  # what each engine made of the crops
        self._report, self._ends = report, time.perf_counter() + how.seconds

    def step(self, name: str, do: Callable[[dict[str, Any]], None]) -> None:
        """Do it with a dictionary for what it finds, which is written also when it fails."""
        found: dict[str, Any] = {}
        self.found["steps"][name] = found
        started = time.perf_counter()
        if started > self._ends:
            found["skipped"] = f"over the time limit of {self.how.seconds:.0f} s"
        else:
            self.console.print(f"-- {name}", markup=False)
            try:
                do(found)
            except LgnetError as error:
                self._fail(found, error, str(error))
            except Exception as error:  # of CUDA, TensorRT or PyTorch: what the report is for
                self._fail(found, error, "".join(traceback.format_exception(error)))
            found["seconds"] = round(time.perf_counter() - started, 2)
        self.write()

    def layers(self, name: str, said: str) -> dict[str, Any]:
        """Keep what TensorRT says of each layer beside the report, and count what decides about speed."""
        path = self._report.with_name(f"{self._report.stem}-{name.replace(' ', '-')}-layers.json")
        write_bytes(path, said.encode())
        found = [json.dumps(layer) for layer in json.loads(said).get("Layers", [])]
        marks = {"attention": ("mha", "attention"), "reformatting": ("reformat",)}
        counts = {what: sum(any(m in layer.lower() for m in words) for layer in found) for what, words in marks.items()}
        return {"file": path.name, "all": len(found), **counts}

    def write(self) -> None:
        write_bytes(self._report, (json.dumps(self.found, indent=2) + "\n").encode())

    def _fail(self, found: dict[str, Any], error: Exception, words: str) -> None:
        found["error"] = words
        self.errors.append(error)
        self.console.print(f"failed: {words.splitlines()[0] if isinstance(error, LgnetError) else error}", markup=False)


def table_of(steps: dict[str, dict[str, Any]]) -> Table:
    """One line an engine, as it could stand in a document."""
    columns = (
        "build, s",
        "worst crop, dB",
        "batch 1, ms",
        "batch 16, ms",
        "of it on the GPU",
        "of the least",
        "images/s",
    )
    table = Table("engine", *columns)
    for name, found in steps.items():
        one, many = (found.get("milliseconds", {}).get(batch, {}) for batch in ("1", "16"))
        rates = [run["images/s"] for run in found.get("runs", {}).values() if "images/s" in run]
        values = (
            found.get("build seconds"), _rounded(found.get("verdict", {}).get("psnr")), one.get("median"),
            many.get("median"), many.get("compute"), many.get("of the least"), max(rates, default=None),
        )  # fmt: skip
        shown = ["failed"] if "error" in found else ["skipped"] if "skipped" in found else []
        table.add_row(name, *(shown or ["" if v is None else str(v) for v in values]))
    return table


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
