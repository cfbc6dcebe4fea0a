"""Nothing is sent about the people who use this, or kept to be sent: not by us, and not by what runs the model."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Folders = Callable[..., tuple[Path, Path]]
Traces = Callable[..., tuple[list[str], list[str]]]

LGNET = Path(sys.executable).with_name("lgnet")
TRAP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int file = open(getenv("TRAP"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (node && write(file, node, strlen(node)) > 0 && write(file, "\\n", 1)) close(file);
    return EAI_NONAME;
}
"""
SESSION = """
import os
import sys
import numpy as np
before = os.environ.get("ORT_DISABLE_TELEMETRY")
import lgnet_cli
image = np.zeros((300, 300, 3), np.uint8)
with lgnet_cli.Session(backend=sys.argv[1]) as session:
    session.inpaint(image, np.eye(300, dtype=bool))
assert os.environ.get("ORT_DISABLE_TELEMETRY") == before
assert "openvino_telemetry" not in sys.modules
"""


@pytest.fixture(scope="session")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that notes every name that a process looks up, and knows none."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("trap")
    (folder / "trap.c").write_text(TRAP)
    command = [compiler, "-shared", "-fPIC", "-o", folder / "trap.so", folder / "trap.c"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "trap.so"


@pytest.fixture
def traces(trap: Path, tmp_path: Path) -> Traces:
    """`traces(command)`: run it in an empty home folder; (files that it left there, names that it looked up)."""

    def run(*command: object) -> tuple[list[str], list[str]]:
        home, noted = tmp_path / "home", tmp_path / "noted"
        home.mkdir()
        left_out = ("XDG_", "ORT_DISABLE_TELEMETRY", "CI")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        environment = kept | {"HOME": str(home), "LD_PRELOAD": str(trap), "TRAP": str(noted)}
        done = subprocess.run(
            [*map(str, command)], cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        files = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
        return files, noted.read_text().splitlines() if noted.exists() else []

    return run


def test_the_trap_sees_names_that_are_looked_up(traces: Traces) -> None:
    code = "import contextlib, socket\nwith contextlib.suppress(OSError): socket.getaddrinfo('a.example', 80)"
    assert traces(sys.executable, "-c", code) == ([], ["a.example"])


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("more", [[], ["--processes", 2]], ids=["threads", "processes"])
def test_the_command_sends_and_keeps_nothing(
    backend: str,
    more: list[object],
    folders: Folders,
    tmp_path: Path,
    traces: Traces,
) -> None:
    images, masks = folders(2)
    command = [LGNET, "inpaint", images, masks, "-o", tmp_path / "out", "--backend", backend, *more]
    assert traces(*command) == ([], [])
    assert len((tmp_path / "out" / "lgnet-report.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_session_sends_and_keeps_nothing_and_leaves_the_program_as_it_was(backend: str, traces: Traces) -> None:
    assert traces(sys.executable, "-c", SESSION, backend) == ([], [])


def test_a_worker_on_ray_sends_and_keeps_nothing(traces: Traces, folders: Folders) -> None:
    """What Ray runs: a process that is not the command, with `Worker` in it."""
    images, masks = folders(1)
    code = """
import json, sys
from pathlib import Path
from lgnet_cli.imaging.spool import Pair
from lgnet_cli.stages import Settings
from lgnet_cli.worker import Order, Worker
image, mask, out = map(Path, sys.argv[1:])
worker = Worker()
opened = worker.open(Order("onnxruntime", None, None, {}, False, 1, Settings(), ("host", 1)))
assert not isinstance(opened, Exception), opened
part = worker.fill([Pair(image, mask, out)])
assert part.summary.filled == 1, part
"""
    paths = [images / "000.png", masks / "000.png", images.parent / "out" / "000.png"]
    assert traces(sys.executable, "-c", code, *paths) == ([], [])
