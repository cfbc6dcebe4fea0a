"""Whole or not at all."""

import os
from pathlib import Path

import pytest

from lgnet_cli.atomic import replacing, write_bytes


def test_writes_with_the_umasks_mode(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"text")
    umask = os.umask(0o022)
    os.umask(umask)
    assert (tmp_path / "a").read_bytes() == b"text"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_the_mode_is_the_umasks_whoever_made_the_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(0o600)
    write_bytes(tmp_path / "b", b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


def test_a_name_of_255_bytes(tmp_path: Path) -> None:
    name = "n" * 251 + ".png"
    write_bytes(tmp_path / name, b"x")
    assert [p.name for p in tmp_path.iterdir()] == [name]
