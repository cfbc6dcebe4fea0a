"""The rows on disk: nothing measured is lost, nothing stale counts."""

from pathlib import Path

import pytest

from lgnet_cli.benchmarks.rows import NAME, Rows
from lgnet_cli.errors import UsageError


def row(key: str, value: float = 0.0) -> dict[str, object]:
    return {"key": key, "method": "m", "image": key, "bucket": "1-10", "psnr_db": value}


def written(folder: Path, *keys: str) -> None:
    rows = Rows(folder, resume=False, overwrite=True)
    for key in keys:
        assert not rows.is_done(key)
        rows.add(row(key))
    rows.close()


def test_resume_knows_what_is_there_and_leaves_out_what_is_no_longer_wanted(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")
    rows = Rows(tmp_path, resume=True, overwrite=False)
    assert rows.is_done("a")
    assert not rows.is_done("c")
    rows.add(row("c"))
    assert [r["key"] for r in rows] == ["a", "c"]  # b was of other settings
    rows.close()


def test_a_line_cut_off_is_measured_again(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[:-9])
    rows = Rows(tmp_path, resume=True, overwrite=False)
    assert (rows.is_done("a"), rows.is_done("b")) == (True, False)
    rows.add(row("b", 7.0))
    assert [(r["key"], r["psnr_db"]) for r in rows] == [("a", 0.0), ("b", 7.0)]
    rows.close()


def test_an_earlier_runs_rows_are_not_lost_by_mistake(tmp_path: Path) -> None:
    written(tmp_path, "a")
    with pytest.raises(UsageError, match="--resume"):
        Rows(tmp_path, resume=False, overwrite=False)
    rows = Rows(tmp_path, resume=False, overwrite=True)
    assert not rows.is_done("a")
    rows.close()
