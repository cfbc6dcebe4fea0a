"""Remote places without a server: fsspec's own store in memory, and a file system that renames."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import FileError, MissingBackend, UsageError
from lgnet_cli.imaging.folders import NAMELESS, files_below, names
from lgnet_cli.imaging.pairs import IN_OUT, OVERWRITTEN, make_plan
from lgnet_cli.imaging.reading import read_whole
from lgnet_cli.mirror import Mirror
from lgnet_cli.places import check_writable, exists, facts, forget, is_dir, is_file, is_listed, is_remote, place, within


@pytest.fixture
def store() -> Iterator[Path]:
    forget()
    yield place("memory://bucket")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_text_without_a_protocol_is_a_path_of_this_machine() -> None:
    for text in ("photos", "/a/b", "s3:/x", "a/b://c", "."):
        assert place(text) == Path(text)
    assert place("file:///a/b") == Path("/a/b")
    assert is_remote(place("memory://a"))
    assert not within(place("memory://a/b"), Path("/a"))
    assert not within(Path("/a/b"), place("memory://a"))
    assert within(place("s3a://a/b"), place("s3://a"))


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(MissingBackend, match=r"gs://a: .*gcsfs.*\n.*pip install 'lgnet\[remote\]' gcsfs"):
        place("gs://a")  # which no extra of lgnet installs
    with pytest.raises(UsageError, match="no protocol nothing://"):
        place("nothing://a")
    with pytest.raises(UsageError, match="in full"):
        place("memory://a/../b")


def test_files_of_a_store(store: Path) -> None:
    write_bytes(store / "in" / "a.png", memoryview(b"abc"), parents=True)
    assert (is_file(store / "in" / "a.png"), is_dir(store / "in"), exists(store / "none")) == (True, True, False)
    assert read_whole(store / "in" / "a.png", 3) == b"abc"
    with pytest.raises(FileError, match=r"3 bytes; with this --max-pixels the limit is 2"):
        read_whole(store / "in" / "a.png", 2)
    with pytest.raises(FileError, match=r"memory://bucket/none.png: cannot be read"):
        read_whole(store / "none.png", 2)
    first = facts(store / "in" / "a.png")
    assert first.size == 3
    assert (is_listed(store / "in" / "a.png"), is_listed(store / "in" / "b.png")) == (True, False)
    write_bytes(store / "in" / "a.png", b"abc")
    assert facts(store / "in" / "a.png") == first  # as its folder was listed
    forget()
    assert facts(store / "in" / "a.png") != first  # another time
    with pytest.raises(FileNotFoundError) as gone:
        facts(store / "none" / "a.png")
    assert gone.value.filename == str(store / "none" / "a.png")


def test_listing_a_store(store: Path) -> None:
    for name in ("b.png", "a.png", "sub/c.png", ".hidden", "Thumbs.db", "../up.png"):
        MemoryFileSystem.store[f"{store.path}/{name}"] = MemoryFileSystem().open("/x", "wb")  # type: ignore[attr-defined]
    found = names(store)
    assert (sorted(found.files), found.folders, found.odd) == (["a.png", "b.png"], ["sub"], [(NAMELESS, "..")])
    assert names(store / "none").files == []
    assert [str(path) for path in files_below(store)] == [f"{store}/{name}" for name in ("a.png", "b.png", "sub/c.png")]


def test_results_in_a_store_never_overwrite_or_become_inputs(store: Path) -> None:
    for name in ("images/a.png", "masks/a.png", "masks/b.png"):
        write_bytes(store / name, b"x")
    images = str(store / "images")
    assert make_plan(images, store / "masks", store / "out").fatal == {}
    assert OVERWRITTEN in make_plan(images, store / "masks", store / "images").fatal
    assert any("OUT is MASKS" in said for said in make_plan(images, store / "masks", store / "masks" / "out").fatal)
    assert IN_OUT in make_plan(f"{images}/*.png", store / "masks", store / "images").fatal
    assert make_plan(images, store / "masks", store / "out").skippable == {
        "mask without an image": [str(store / "masks" / "b.png")]
    }


def test_results_go_to_folders_and_object_stores_alone(tmp_path: Path) -> None:
    """Elsewhere they could be seen half-written."""
    check_writable(tmp_path)
    check_writable(place("memory://a"))
    with pytest.raises(UsageError, match="writes to object stores"):
        check_writable(place("http://localhost/a"))


def test_a_growing_file_is_put_from_time_to_time_and_at_the_end(store: Path) -> None:
    mirror = Mirror(store / "report.jsonl", every=0.05)
    assert (store / "report.jsonl").read_bytes() == b""
    with mirror.local.open("ab") as file:
        file.write(b"one\n")
    while (store / "report.jsonl").read_bytes() != b"one\n":
        time.sleep(0.01)
    with mirror.local.open("ab") as file:
        file.write(b"two\n")
    mirror.close()
    assert (store / "report.jsonl").read_bytes() == b"one\ntwo\n"
    assert not mirror.local.exists()
    again = Mirror(store / "report.jsonl")
    assert again.local.read_bytes() == b"one\ntwo\n"
    again.close()
