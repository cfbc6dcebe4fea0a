"""The report survives odd names and broken lines."""

import json
import os
from pathlib import Path

import pytest

from lgnet_cli.errors import UsageError
from lgnet_cli.imaging.spool import Pair
from lgnet_cli.report import NAME, Record, Report, key_of, reports_in

ODD = ["plain", "new\nline", "über", os.fsdecode(b"bytes\xff\xfe"), 'quote"s', "\u2028separator"]


@pytest.mark.parametrize("name", ODD)
def test_any_name_comes_back(tmp_path: Path, name: str) -> None:
    output = tmp_path / f"{name}.png"
    output.write_bytes(b"12345")
    first = Report(tmp_path)
    first.add(Record("i", "m", str(output), "filled", bytes=5, key="k"))
    first.close()
    again = Report(tmp_path)
    assert again.is_done(Pair(Path("i"), Path("m"), output), "k")
    assert not again.is_done(Pair(Path("i"), Path("m"), output), "other")
    again.close()
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 1


@pytest.mark.parametrize("line", [
    "{", "[]", "null", '"text"', '{"output": 1}', "\0\0\0", "", "[" * 60_000, "x" * 200_000, "9" * 5000,
    '{"output": [], "key": {}, "bytes": "1", "status": null}', '{"output": "o", "key": "k", "bytes": 1, "status": 1}',
])  # fmt: skip
def test_broken_lines_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / "o").write_bytes(b"1")
    good = Record("i", "m", str(tmp_path / "o"), "filled", bytes=1, key="k")
    (tmp_path / NAME).write_text(line + "\n" + json.dumps(good.__dict__) + "\n" + line)
    report = Report(tmp_path)
    assert report.is_done(Pair(Path("i"), Path("m"), tmp_path / "o"), "k")
    report.close()


def test_the_key_follows_size_time_and_settings(tmp_path: Path) -> None:
    image, mask = tmp_path / "i", tmp_path / "m"
    image.write_bytes(b"1")
    mask.write_bytes(b"2")
    pair = Pair(image, mask, tmp_path / "o")
    keys = [key_of(pair, "a"), key_of(pair, "b")]
    os.utime(mask, (1, 1))
    keys.append(key_of(pair, "a"))
    image.write_bytes(b"12")
    keys.append(key_of(pair, "a"))
    assert len(set(keys)) == 4
    assert key_of(pair, "a") == keys[3]


def test_the_last_line_of_an_output_counts(tmp_path: Path) -> None:
    pair = Pair(Path("i"), Path("m"), tmp_path / "o")
    pair.output.write_bytes(b"1")
    report = Report(tmp_path)
    for key, status in (("a", "filled"), ("b", "filled"), ("c", "failed")):
        report.add(Record("i", "m", str(pair.output), status, bytes=1, key=key))
        again = Report(tmp_path)
        assert [k for k in "abc" if again.is_done(pair, k)] == ([key] if status == "filled" else [])
        again.close()
    report.close()


def test_shares_write_their_own_report_and_know_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(b"1")
    share = Report(tmp_path, (2, 3))
    share.add(Record("i", "m", str(tmp_path / "o"), "filled", bytes=1, key="k"))
    share.close()
    assert [path.name for path in reports_in(tmp_path)] == ["lgnet-report-2-of-3.jsonl"]
    for shard in (None, (1, 3), (1, 2)):
        report = Report(tmp_path, shard)
        assert report.is_done(Pair(Path("i"), Path("m"), tmp_path / "o"), "k")
        report.close()


def test_a_report_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(UsageError, match=NAME):
        Report(tmp_path)
