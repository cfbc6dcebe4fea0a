"""A second run replaces its own results alone: not what a person retouched, and not what was never ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes import PaintEngine
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.imaging.spool import Pair
from lgnet_cli.journal import NAME as JOURNAL
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.places import forget, place
from lgnet_cli.report import NAME, Record, Report, key_of, results_in
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def retouch(file: Path, *, keep_time: bool) -> bytes:
    """Change a byte of a file's, not its size, as an editor of uncompressed files does; what it holds then."""
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return bytes(data)


@pytest.mark.parametrize(("how", "again"), [
    ("retouched", ["--json"]), ("retouched, time kept", ["--crop-margin", 80]), ("retouched", ["--dry-run"]),
    ("repainted", []), ("never ours", []),
])  # fmt: skip
def test_anothers_work_is_refused_by_name(
    how: str, again: list[object], folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(3)
    out, theirs = tmp_path / "out", tmp_path / "out" / "001.png"
    if how == "never ours":
        (images / "001.png").rename(tmp_path / "later.png")
        assert lgnet("inpaint", images, masks, "-o", out, "--allow-missing").returncode == 0
        (tmp_path / "later.png").rename(images / "001.png")
        theirs.write_bytes(b"precious")
    else:
        assert lgnet("inpaint", images, masks, "-o", out).returncode == 0
    if how.startswith("retouched"):
        retouch(theirs, keep_time="kept" in how)
    if how == "repainted":
        cv2.imwrite(str(theirs), np.full((260, 300, 3), 7, np.uint8))
    before = {path: path.read_bytes() for path in out.iterdir()}
    done = lgnet("inpaint", images, masks, "-o", out, *again)
    assert (done.returncode, str(theirs) in done.stderr, "--overwrite" in done.stderr) == (2, True, True), done.stderr
    assert str(out / "000.png") not in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    if not again:
        assert lgnet("inpaint", images, masks, "-o", out, "--overwrite").returncode == 0
        assert theirs.read_bytes() != before[theirs]


def test_our_own_results_are_done_again_wherever_they_were_copied(
    folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    """With other times, by another path, and after a failure."""
    images, masks = folders(2)
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "first").returncode == 0
    shutil.copytree(tmp_path / "first", tmp_path / "out", copy_function=shutil.copyfile)
    done = lgnet("inpaint", images, masks, "-o", "out", "--crop-margin", 80, "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["filled"]) == (0, 2), done.stderr
    kept = (images / "000.png").read_bytes()
    (images / "000.png").write_bytes(b"broken")
    assert lgnet("inpaint", images, masks, "-o", "out", cwd=tmp_path).returncode == 3
    (images / "000.png").write_bytes(kept)
    assert lgnet("inpaint", images, masks, "-o", "out", cwd=tmp_path).returncode == 0


def test_a_photo_that_changed_under_a_kept_time_and_size_is_done_again(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    pair = Pair(images / "000.png", masks / "000.png", tmp_path / "out" / "000.png")
    before = key_of(pair, "a")
    retouch(pair.image, keep_time=True)
    changed = key_of(pair, "a")
    assert changed != before
    other = tmp_path / "other.png"
    shutil.copy2(pair.image, other)  # its time, too
    other.replace(pair.image)
    assert key_of(pair, "a") != changed


KILLED = """
import os, sys
from pathlib import Path
from fakes import PaintEngine
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import Report
from lgnet_cli.stages import Settings

class Killed(Report):
    def add(self, record):
        if record.output.endswith("001.png"):
            os._exit(9)  # the result is there, and its line is not
        super().add(record)

images, masks, out = sys.argv[1:]
first, *others = make_plan(images, Path(masks), Path(out)).pairs
report = Killed(Path(out))
run([first], PaintEngine(), Settings(), report, Summary())
run(others, PaintEngine(), Settings(), report, Summary())
"""


def test_what_a_killed_run_had_not_recorded_is_its_own(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(3)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", KILLED, images, masks, out]
    assert subprocess.run(list(map(str, command)), cwd=Path(__file__).parent, check=False).returncode == 9
    recorded = [Path(json.loads(line)["output"]).name for line in (out / NAME).read_text().splitlines()]
    assert ((out / "001.png").exists(), "001.png" in recorded) == (True, False)
    retouch(out / "000.png", keep_time=True)  # recorded by the killed run
    done = lgnet("inpaint", images, masks, "-o", out)
    assert (done.returncode, str(out / "000.png") in done.stderr) == (2, True)
    assert str(out / "001.png") not in done.stderr
    (out / "000.png").unlink()
    (out / "002.png").unlink(missing_ok=True)
    assert lgnet("inpaint", images, masks, "-o", out).returncode == 0
    assert not list(out.glob(f"{JOURNAL}*"))


def test_a_run_of_the_whole_does_away_with_what_shares_left(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    out = tmp_path / "out"
    out.mkdir()
    left = Report(out, (1, 2))  # killed
    left.begin([out / "000.png"])
    (out / "000.png").write_bytes(b"ours")
    assert results_in(out).is_ours(out / "000.png")
    report = Report(out)
    run(make_plan(str(images), masks, out).pairs, PaintEngine(), Settings(), report, Summary())
    report.close()
    assert not list(out.glob(f"{JOURNAL}*"))
    assert results_in(out).is_ours(out / "000.png")


def test_a_name_cut_off_in_the_journal_spoils_no_other(tmp_path: Path) -> None:
    report = Report(tmp_path)
    (journal,) = tmp_path.glob(f"{JOURNAL}*")
    with journal.open("ab") as file:
        file.write(b"\0+/cut/o")  # the disk was full
    report.begin([tmp_path / "new\nline"])
    (tmp_path / "new\nline").write_bytes(b"x")
    assert results_in(tmp_path).is_ours(tmp_path / "new\nline")


def test_results_in_an_object_store() -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    forget()
    out = place("memory://bucket/out")
    ours, theirs = out / "a.png", out / "b.png"
    report = Report(out)
    ours.write_bytes(b"1234")
    report.add(Record("i", "m", str(ours), "filled", bytes=4, key="k", sha256=SHA256_OF_1234))
    (out / "c.png").write_bytes(b"not recorded: killed")
    forget()
    assert results_in(out).is_ours(out / "c.png")
    report.close()
    theirs.write_bytes(b"1234567")
    forget()
    results = results_in(out)
    assert (results.is_ours(ours), results.is_ours(theirs), results.is_ours(out / "c.png")) == (True, False, False)
    ours.write_bytes(b"4321")
    forget()
    assert not results_in(out).is_ours(ours)
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


SHA256_OF_1234 = "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"
