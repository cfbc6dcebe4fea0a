"""What a worker of a batch on Ray does by itself, without Ray."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lgnet_cli.cluster import make_order
from lgnet_cli.errors import ExitCode, ModelError, UsageError
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.lock import locked
from lgnet_cli.stages import Settings
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.worker import Opened, Worker


def test_it_fills_what_it_is_sent_and_fails_what_cannot_be_filled(
    folders: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    images, masks = folders(3, (60, 60))
    (images / "001.png").write_bytes(b"")
    out = tmp_path / "out"
    out.mkdir()
    worker = Worker()
    with locked(out):
        order = make_order("auto", DEFAULT_WEIGHTS, None, False, Settings(refine="none"), out)
        assert set(order.files) == {DEFAULT_WEIGHTS.name, DEFAULT_WEIGHTS.with_suffix(".onnx").name}
        opened = worker.open(order)
        assert isinstance(opened, Opened), opened
        assert (opened.host, opened.pid) == (platform.node(), os.getpid())
        part = worker.fill(list(make_plan(str(images), masks, out).pairs))
    assert sorted((Path(r.input).name, r.status) for r, _ in part.records) == [
        ("000.png", "filled"), ("001.png", "failed"), ("002.png", "filled"),
    ]  # fmt: skip
    assert sorted(p.name for p in out.iterdir()) == ["000.png", "002.png"]


@pytest.mark.parametrize("held", [None, (1, 2)])
def test_a_folder_that_is_another_one_here_is_refused(tmp_path: Path, held: tuple[int, int] | None) -> None:
    """Results would lie on this machine's disk, and be reported as done."""
    order = make_order("auto", None, None, False, Settings(refine="none"), tmp_path)
    assert isinstance(Worker().open(order), UsageError)  # no lock here
    with locked(tmp_path, held):
        assert isinstance(Worker().open(replace(order, shard=(2, 2))), UsageError)
        assert isinstance(Worker().open(replace(order, writer=("elsewhere", os.getpid()))), UsageError)
        assert isinstance(Worker().open(replace(order, shard=held)), Opened)


def test_another_version_is_refused(tmp_path: Path) -> None:
    order = make_order("auto", None, None, False, Settings(refine="none"), None)
    refused = Worker().open(replace(order, version="0.0"))
    assert isinstance(refused, ModelError)
    assert "0.0 asks" in str(refused)


DYING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fakes import PaintEngine
from lgnet_cli.errors import DeviceLost
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.stages import Settings
from lgnet_cli.worker import Worker

class Dying(PaintEngine):
    def fill(self, image, mask):
        raise DeviceLost("the GPU gives no more results")

worker = Worker()
worker._engine, worker._settings = Dying(), Settings()
worker.fill(list(make_plan(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])).pairs))
print("went on")
"""


def test_a_gpu_that_fails_for_good_ends_the_process_so_that_others_get_its_images(
    folders: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", DYING, Path(__file__).parent, images, masks, out]
    neutral = Path(__file__).parent  # not the root, whose folder Python would take for the package
    done = subprocess.run(command, cwd=neutral, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.MODEL_UNUSABLE
    assert "the GPU gives no more results" in done.stderr
    assert "went on" not in done.stdout
