"""The report survives odd names and broken lines."""

import json
import os
from pathlib import Path

import pytest

from lgnet_cli.imaging.pairs import Pair
from lgnet_cli.report import NAME, Record, Report, key_of

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


@pytest.mark.parametrize("line", ["{", "[]", "null", '"text"', '{"output": 1}', "\0\0\0", ""])
def test_broken_lines_are_passed_over(tmp_path: Path, line: str) -> None:
    good = Record("i", "m", "o", "filled", bytes=1, key="k")
    (tmp_path / NAME).write_text(line + "\n" + json.dumps(good.__dict__) + "\n" + line)
    report = Report(tmp_path)
    assert report.knows(Path("o"))
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
