"""Folders, lists and shards."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import FileError, LgnetError, NothingToDo, UsageError
from lgnet_cli.training.sources import Source, expanded, find


def png(picture: Pixels) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_a_folder_is_walked_in_sorted_order_and_others_files_left_alone(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", "notes.txt", ".hidden.png", ".git/x.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert [s.path.removeprefix(f"{tmp_path}/") for s in find(str(tmp_path))] == ["a.webp", "b/1.jpg", "b/2.PNG"]


def test_a_list_is_taken_in_its_own_order(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"# mine\nb.png\n\n{tmp_path}/sub/a.png\n")
    assert [s.path for s in find(str(tmp_path / "list.txt"))] == [f"{tmp_path}/b.png", f"{tmp_path}/sub/a.png"]


def test_shards_are_read_by_place_in_any_order(tmp_path: Path, photo: Callable[..., Pixels]) -> None:
    members = {f"{i:03}.png": png(photo(20, 30, seed=i)) for i in range(5)}
    write_shard(tmp_path / "s-00.tar", dict(list(members.items())[:3]) | {"000.cls": b"7"})
    write_shard(tmp_path / "s-01.tar", dict(list(members.items())[3:]))
    found = find(str(tmp_path / "s-{00..01}.tar"))
    assert [s.name for s in found] == [f"{tmp_path}/s-0{i // 3}.tar:{i:03}.png" for i in range(5)]
    for source, data in reversed(list(zip(found, members.values(), strict=True))):
        assert source.read() == data


@pytest.mark.parametrize(("pattern", "names"), [
    ("a.tar", ["a.tar"]), ("s-{000..002}.tar", ["s-000.tar", "s-001.tar", "s-002.tar"]),
    ("{8..10}.tar", ["8.tar", "9.tar", "10.tar"]), ("{0..1}/{0..1}.tar", ["0/0.tar", "0/1.tar", "1/0.tar", "1/1.tar"]),
])  # fmt: skip
def test_braces(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names


def test_a_shard_that_was_cut_after_it_was_listed(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", {"a.png": bytes(5000)})
    (source,) = find(str(tmp_path / "s.tar"))
    os.truncate(tmp_path / "s.tar", 2000)
    with pytest.raises(FileError, match=r"s\.tar:a\.png"):
        source.read()


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jpg")
    with pytest.raises(FileError, match=r"p\.jpg"):
        Source(str(tmp_path / "p.jpg")).read()


@pytest.mark.parametrize(("name", "data", "kind"), [
    ("none", None, NothingToDo), ("empty.tar", b"", FileError), ("bad.tar", b"x" * 600, FileError),
    ("x.bin", b"x", UsageError), ("no.txt", None, NothingToDo), ("blank.txt", b"\n", NothingToDo),
])  # fmt: skip
def test_places_that_hold_nothing(name: str, data: bytes | None, kind: type[LgnetError], tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(kind, match=name):
        find(str(tmp_path / name))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_lists_in_any_encoding(encoding: str, ends: str, tmp_path: Path) -> None:
    names = ["plain.png", "Bücher.png", "a\u0085b.png"]  # the last has what Python takes for the end of a line
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_bytes(ends.join(["# a comment", *names, ""]).encode(encoding))
    assert [source.path for source in find(str(tmp_path / "list.txt"))] == [str(tmp_path / name) for name in names]


def test_a_list_names_files_by_their_bytes(tmp_path: Path) -> None:
    """As `ls > list.txt` writes names that are no UTF-8."""
    name = b"B\xfccher.png"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    (tmp_path / "list.txt").write_bytes(name + b"\n")
    (source,) = find(str(tmp_path / "list.txt"))
    assert os.fsencode(source.path).endswith(name)
    assert Path(source.path).exists()
