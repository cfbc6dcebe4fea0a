"""What a measurement was made on, and the whole command measured, for `lgnet doctor --gpu-check`."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2

from lgnet_cli.engines.doctor import inventory
from lgnet_cli.engines.machine import Machine
from lgnet_cli.engines.verify import crops
from lgnet_cli.errors import EngineError

ASKED = (
    "name,compute_cap,driver_version,memory.total,memory.used,clocks.sm,clocks.max.sm,power.draw,power.limit,"
    "mig.mode.current"
)
LGNET = [sys.executable, "-c", "from lgnet_cli.main import main; main()"]
NEUTRAL = Path(sys.executable).parent
"""Where the command runs: in a clone, Python would take the package's folder there for all of it."""

PATIENCE = 120
"""Seconds for one run of the command."""


def surroundings(machine: Machine) -> dict[str, Any]:
    """Everything that decides how fast an engine is here."""
    return {
        "parts": {part.name: part.found or part.mend for part in inventory(machine)},
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "driver calls by": _driver(machine),
        "nvidia-smi": _nvidia_smi(),
    }


def end_to_end(plan: Path, folder: Path, count: int, command: list[str] | None, found: dict[str, Any]) -> None:
    """`lgnet inpaint` on `count` pictures, as it is typed, with threads and with processes. Raises EngineError."""
    folder = folder.absolute()
    images, masks = _pictures(folder, count)
    found["pictures"], found["runs"] = count, {}
    for name, options in (("threads", ["--processes", "0"]), ("by itself", [])):
        run: dict[str, Any] = {}
        found["runs"][name] = run
        out = folder / name.replace(" ", "-")
        arguments = ["inpaint", images, masks, "-o", out, "--engine", plan.absolute(), "--refine", "none", "--json"]
        done = subprocess.run(  # noqa: S603  our own command
            [*(command or LGNET), *map(str, arguments), *options],
            cwd=NEUTRAL, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        if done.returncode:
            raise EngineError(f"lgnet inpaint ended with {done.returncode}: {done.stderr[-2000:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        run |= {"said": said, "images/s": round(count / said["seconds"], 1)}
        run["engine busy, share"] = round(said["engine_seconds"] / said["seconds"], 3)
    found["nvidia-smi, afterwards"] = _nvidia_smi()


def _pictures(folder: Path, count: int) -> tuple[Path, Path]:
    """The crops that engines are verified on, again and again."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir(exist_ok=True)
    masks.mkdir(exist_ok=True)
    photos, holes = crops()
    for i in range(count):
        cv2.imwrite(str(images / f"{i:04}.png"), photos[i % len(photos)][:, :, ::-1])
        cv2.imwrite(str(masks / f"{i:04}.png"), holes[i % len(holes)])
    return images, masks


def _driver(machine: Machine) -> str:
    try:
        driver = machine.driver()
    except Exception as error:  # whatever it is, it is what the report is for
        return f"none: {error}"
    return str(getattr(driver, "name", None) or getattr(driver, "__name__", type(driver).__name__))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _nvidia_smi() -> list[dict[str, str]] | str:
    """All GPUs: clocks and power as they are now."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return "not installed"
    command = [path, f"--query-gpu={ASKED}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    if done.returncode:
        return f"ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}"
    return [dict(zip(ASKED.split(","), (v.strip() for v in line.split(",")), strict=False))
            for line in done.stdout.splitlines()]  # fmt: skip
