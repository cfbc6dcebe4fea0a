"""A fresh process that opens one contender and fills: what a start costs, and how much memory it takes.

`python -m lgnet_cli.benchmarks.once NAME WEIGHTS SIZE BATCH` (WEIGHTS "" for the model that ships) prints a JSON line.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lgnet_cli.benchmarks.contenders import open_contender, pictures
from lgnet_cli.errors import EngineError

NEUTRAL = Path(sys.executable).parent
"""Where processes start: Python looks for modules there first, and a clone of the repository has half of ours."""

CALLS = 3
"""Fills, the first included: memory is largest from the second on."""


@dataclass(frozen=True)
class Once:
    """Of one process."""

    cold_start_s: float  # from its start until the engine is loaded
    first_ms: float  # of the first call
    main_memory_mib: float  # at most; what a GPU has of its own is not in it


def once(name: str, weights: Path | None, size: int, batch: int) -> Once:
    """Start the process and read what it measured. Raises EngineError with its last words if it failed."""
    command = [sys.executable, "-m", __name__, name, str(weights.resolve()) if weights else "", str(size), str(batch)]
    started = time.time()
    done = subprocess.run(command, cwd=NEUTRAL, capture_output=True, text=True, check=False)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise EngineError(f"{name}: its process failed: {words[-1]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Once(said["ready"] - started, 1000 * said["first"], said["main_memory_mib"])


def _main(name: str, weights: str, size: str, batch: str) -> None:
    image, mask = pictures(int(batch), int(size))
    engine = open_contender(name, Path(weights) if weights else None)
    ready, seconds = time.time(), []
    for _ in range(CALLS):
        started = time.perf_counter()
        engine.fill(image, mask)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"ready": ready, "first": seconds[0], "main_memory_mib": _peak_mib()}))


def _peak_mib() -> float:
    """Of this process alone: the kernel's own mark, for what getrusage says a child inherits from its parent."""
    marks = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(marks[0].split()[1]) / 1024


if __name__ == "__main__":
    _main(*sys.argv[1:])
