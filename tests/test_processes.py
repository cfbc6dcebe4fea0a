"""The batch with processes that decode and encode: the same results, and what happens when one is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes import PaintEngine, SmallMemoryEngine
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import LgnetError
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.imaging.spool import Pair
from lgnet_cli.pipeline import TOGETHER, Summary, run
from lgnet_cli.processes import Processes
from lgnet_cli.report import NAME, Record, Report
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
LGNET = str(Path(sys.executable).with_name("lgnet"))

TIMES = {"seconds", "refine_seconds", "changed"}
"""Of a record, what differs between two runs."""


def fill(
    pairs: Iterable[Pair], out: Path, engine: PaintEngine | None = None, count: int = 2, **options: object
) -> tuple[Summary, list[Record]]:
    """Run a batch with `count` processes, with threads if it is 0; (summary, records in the order they came)."""
    summary, records = Summary(), []
    out.mkdir(exist_ok=True)
    report = Report(out)
    try:
        run(
            pairs, engine or PaintEngine(), Settings(**{"refine": "none", **options}), report, summary,  # type: ignore[arg-type]
            lambda record, trace: records.append(record), Processes(count) if count else None,
        )  # fmt: skip
    finally:
        report.close()
    return summary, records


def children() -> list[int]:
    """Processes that this one has started and that run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.append(int(entry.parent.name))
    return [pid for pid in found if "lgnet_cli.child" in Path(f"/proc/{pid}/cmdline").read_text()]


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != NAME}


def lines(out: Path) -> dict[str, dict[str, object]]:
    """{output below OUT: its last record, without times and folders}."""
    said = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
    return {
        os.path.relpath(r["output"], out): {k: v for k, v in r.items() if k not in TIMES | {"output"}} for r in said
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_refined_photos_do_not_depend_on_processes_or_batches(folders: Folders, tmp_path: Path, batch: int) -> None:
    images, masks = folders(3)
    outs = {count: tmp_path / f"{count}" for count in (0, 2)}
    for count, out in outs.items():
        fill(make_plan(str(images), masks, out).pairs, out, count=count, refine="texture", batch=batch if count else 1)
    for number in range(3):
        whole = {out.joinpath(f"00{number}.png").read_bytes() for out in outs.values()}
        assert len(whole) == 1


@pytest.fixture
def mixed(folders: Folders, photo: Callable[..., np.ndarray], tmp_path: Path) -> tuple[Path, Path]:
    """Small ones enough for groups, of several formats; large ones; nothing to fill; damaged; no such size of mask."""
    images, masks = folders(3 * TOGETHER)
    for i, suffix in ((2, "jpg"), (5, "webp"), (7, "tif"), (9, "bmp")):
        picture = cv2.imread(str(images / f"{i:03}.png"))
        (images / f"{i:03}.png").unlink()
        cv2.imwrite(str(images / f"{i:03}.{suffix}"), picture)
    large, hole = photo(1500, 2100), np.zeros((1500, 2100), np.uint8)
    hole[100:1400, 300:320] = hole[700:720, 100:2000] = 255
    cv2.imwrite(str(images / "large.png"), large)
    cv2.imwrite(str(masks / "large.png"), hole)
    cv2.imwrite(str(masks / "004.png"), np.zeros_like(cv2.imread(str(masks / "004.png"), 0)))
    (images / "011.png").write_bytes((images / "011.png").read_bytes()[:999])
    cv2.imwrite(str(masks / "012.png"), np.zeros((5, 5), np.uint8))
    return images, masks


@pytest.mark.parametrize(
    "options", [{}, {"batch": 7}, {"mode": "original"}, {"mode": "resize", "format": "PNG"}], ids=str
)
def test_results_and_records_are_those_of_threads(
    mixed: tuple[Path, Path], tmp_path: Path, options: dict[str, object]
) -> None:
    """`original` makes one crop of 1536 x 2304 pixels, too large for the shared memory: it is sent."""
    images, masks = mixed
    outs = tmp_path / "threads", tmp_path / "processes"
    summaries = []
    for out, count in zip(outs, (0, 2), strict=True):
        summary, records = fill(make_plan(str(images), masks, out).pairs, out, count=count, **options)
        names = [Path(r.output).name for r in records if r]
        assert names == sorted(names)
        assert summary.failed == 2
        summaries.append((summary.filled, summary.copied, summary.failed))
    assert summaries[0] == summaries[1]
    assert files(outs[0]) == files(outs[1])
    assert lines(outs[0]) == lines(outs[1])
    assert children() == []


def test_an_engine_that_fails_fails_its_image_alone(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(6)
    out = tmp_path / "out"
    summary, records = fill(make_plan(str(images), masks, out).pairs, out, SmallMemoryEngine(0))
    assert summary.failed == 6
    assert all(r and r.error == f"{r.input}: out of memory" for r in records)
    assert files(out) == {}


class Murderer(PaintEngine):
    """Kills processes that decode and encode: all there are at the `at`th call, or whenever it gets `victim`."""

    def __init__(self, at: int = 0, victim: np.ndarray | None = None) -> None:
        super().__init__()
        self.at, self.victim, self.killed = at, victim, 0

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        if len(self.calls) + 1 == self.at or (self.victim is not None and (image[0, 0, 0] == self.victim).all()):
            for pid in children():
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
            while children():
                time.sleep(0.01)
        return super().fill(image, mask)


def test_images_of_a_lost_process_are_done_by_another(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(40)
    whole, out = tmp_path / "whole", tmp_path / "out"
    fill(make_plan(str(images), masks, whole).pairs, whole, count=0)
    engine = Murderer(at=15)
    summary, records = fill(make_plan(str(images), masks, out).pairs, out, engine)
    assert engine.killed == 2
    assert (summary.filled, summary.failed, len(records)) == (40, 0, 40)
    assert files(out) == files(whole)
    assert {name: {**r, "key": ""} for name, r in lines(out).items()} == {
        name: {**r, "key": ""} for name, r in lines(whole).items()
    }


def test_an_image_that_takes_its_process_down_fails_alone(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(20)
    poison = np.full((300, 300, 3), 77, np.uint8)
    cv2.imwrite(str(images / "008.png"), poison)
    hole = np.zeros((300, 300), np.uint8)
    hole[100:120, 100:120] = 255
    cv2.imwrite(str(masks / "008.png"), hole)
    out = tmp_path / "out"
    engine = Murderer(victim=poison[0, 0])
    summary, _ = fill(make_plan(str(images), masks, out).pairs, out, engine)
    assert engine.killed
    assert (summary.filled, summary.failed) == (19, 1)
    assert [name for name, r in lines(out).items() if r["status"] == "failed"] == ["008.png"]
    assert "process that decoded or encoded it was lost" in str(lines(out)["008.png"]["error"])
    assert len(files(out)) == 19


def test_processes_that_cannot_start_end_the_batch(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    images, masks = folders(4)
    out = tmp_path / "out"
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # no Python starts
    with pytest.raises(LgnetError, match=r"processes end as they start \(exit code 1\)\n  .*--processes 0"):
        fill(make_plan(str(images), masks, out).pairs, out)
    assert files(out) == {}
    assert children() == []


def test_an_interrupted_batch_leaves_whole_files_and_goes_on(folders: Folders, tmp_path: Path) -> None:
    class Interrupted(PaintEngine):
        def fill(self, image: Pixels, mask: Pixels) -> Pixels:
            if len(self.calls) == 25:
                raise KeyboardInterrupt
            return super().fill(image, mask)

    images, masks = folders(40)
    out = tmp_path / "out"
    pairs = make_plan(str(images), masks, out).pairs
    with pytest.raises(KeyboardInterrupt):
        fill(pairs, out, Interrupted())
    assert children() == []
    assert all(cv2.imread(str(out / name)) is not None for name in files(out))
    done = len(files(out))
    engine = PaintEngine()
    summary, _ = fill(pairs, out, engine)
    assert (summary.skipped, len(engine.calls)) == (done, 40 - done)


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_ended_at_any_moment_the_next_run_completes(
    folders: Folders, tmp_path: Path, lgnet: Command, kills: int
) -> None:
    """SIGKILL of the command, or Ctrl-C as a terminal sends it. Its processes end with it."""
    images, masks = folders(12)
    started = time.perf_counter()
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "whole").returncode == 0
    length, rng, out = time.perf_counter() - started, random.Random(kills), tmp_path / "0"
    whole, amid = files(tmp_path / "whole"), 0
    for i in range(4 * kills):
        if i >= kills and amid:  # by chance all may fall before or after the work
            break
        command = [LGNET, "inpaint", images, masks, "-o", out, "--processes", "2"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
            assert running.stderr is not None
            time.sleep(rng.uniform(0.2, length))
            if rng.random() < 0.6:
                running.kill()
            else:
                os.killpg(running.pid, signal.SIGINT)
            said = running.stderr.read()  # ends when the last of its processes has
        assert "child.py" not in said, said  # its processes end in silence; Python itself, as it starts, may not
        now = {name: data for name, data in (files(out) if out.exists() else {}).items() if not name.startswith(".")}
        assert all(whole[name] == content for name, content in now.items())
        amid += 0 < len(now) < len(whole)
        if len(now) == len(whole):
            out = tmp_path / str(i + 1)
    done = lgnet("inpaint", images, masks, "-o", out, "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "2 processes decode and encode" in done.stderr
    assert files(out) == whole
    assert amid, "nothing was ended amid the work"


def test_refused_where_it_makes_no_sense(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--processes", 2, "--ray", "auto")
    assert done.returncode == 2
    assert "--processes is for this machine alone" in done.stderr
