"""One run at a time in one OUT, and no run locked out by a dead one."""

import json
import os
import platform
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from lgnet_cli.atomic import temporary_prefix
from lgnet_cli.errors import UsageError
from lgnet_cli.lock import NAME, locked


def holder(folder: Path, shard: object = None) -> "subprocess.Popen[str]":
    """A process that holds `folder` until it is killed."""
    code = f"""
from pathlib import Path
from lgnet_cli.lock import locked
with locked(Path({str(folder)!r}), {shard!r}):
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, cwd=Path(__file__).parent)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_the_second_is_refused_by_name_and_host(tmp_path: Path) -> None:
    other = holder(tmp_path)
    with pytest.raises(UsageError, match=rf"process {other.pid} of .* on {platform.node()}"), locked(tmp_path):
        pass
    end(other)


def test_what_a_killed_owner_left_is_recognised_and_cleaned(tmp_path: Path) -> None:
    other = holder(tmp_path)
    (tmp_path / "sub").mkdir()
    mine = tmp_path / f"{temporary_prefix()}x.png"  # of a process that lives: this one
    for file in (mine, tmp_path / "sub" / f"{temporary_prefix(pid=other.pid)}y.png", tmp_path / "result.png"):
        file.touch()
    end(other)
    with locked(tmp_path) as dead:
        assert dead is not None
        assert dead.pid == other.pid
        assert sorted(p.name for p in tmp_path.rglob("*.png")) == sorted([mine.name, "result.png"])
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / NAME).exists()
    with locked(tmp_path) as dead:
        assert dead is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}', "\0" * 100])
def test_a_broken_lock_file_locks_nobody_out(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    with locked(tmp_path) as dead:
        assert dead is None


def test_another_hosts_lock_is_believed(tmp_path: Path) -> None:
    """Its kernel's lock may not reach this machine."""
    said = {"host": "elsewhere", "pid": 1, "user": "u", "since": "2026-01-01 00:00:00"}
    (tmp_path / NAME).write_text(json.dumps(said))
    with pytest.raises(UsageError, match=r"on elsewhere, since 2026.*\n.*rm "), locked(tmp_path):
        pass
    assert json.loads((tmp_path / NAME).read_text()) == said


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("held", "asked", "free"), [
    ((1, 3), (2, 3), True), ((1, 3), (1, 3), False), ((1, 3), (1, 2), False), ((1, 3), None, False),
    (None, (1, 3), False),
])  # fmt: skip
def test_shares_of_one_count_run_side_by_side(tmp_path: Path, held: object, asked: object, free: bool) -> None:
    other = holder(tmp_path, held)
    refused = nullcontext() if free else pytest.raises(UsageError, match=f"process {other.pid} ")
    with refused, locked(tmp_path, asked):  # type: ignore[arg-type,attr-defined]
        pass
    end(other)
    with locked(tmp_path, asked):  # type: ignore[arg-type]
        pass
