"""Where training files lie: folders, lists, and tar shards for sets that outgrow a file system."""

import codecs
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from lgnet_cli.errors import FileError, NothingToDo, UsageError
from lgnet_cli.imaging.folders import files_below
from lgnet_cli.imaging.formats import SUFFIXES


@dataclass(frozen=True)
class Source:
    """A file, or a file inside a shard."""

    path: str
    offset: int = 0  # bytes
    length: int = -1  # bytes; -1: to the end
    member: str = ""  # name inside the shard

    @property
    def name(self) -> str:
        return f"{self.path}:{self.member}" if self.member else self.path

    def read(self) -> bytes:
        """Raises FileError."""
        if not Path(self.path).is_file():  # a named pipe would be waited for without end
            raise FileError(f"{self.name}: no such file")
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise FileError(f"{self.name}: cannot be read: {error.strerror}") from error
        if 0 <= len(data) < self.length:
            raise FileError(f"{self.name}: the shard ends before it")
        return data


MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte-order marks, with which editors begin text."""


def find(where: str) -> list[Source]:
    """The images at a place, sorted.

    Args:
        where: a folder, walked recursively; a list, a .txt file of paths, relative to its own folder; or shards, .tar
            files as WebDataset has them, `shards-{000..099}.tar` for many.

    Raises:
        NothingToDo: there is no such place, or no image in it.
        FileError: a shard is no tar file, or a folder cannot be read.
        UsageError: neither of the three.
    """
    if where.endswith(".tar"):
        found = [source for shard in expanded(where) for source in _in_shard(shard)]
    elif Path(where).is_dir():
        found = [Source(str(file)) for file in files_below(Path(where)) if _is_image(file.name)]
    elif where.endswith(".txt"):
        found = _in_list(Path(where))
    elif Path(where).exists():
        raise UsageError(f"{where}: neither a folder, a list (.txt), nor shards (.tar)")
    else:
        raise NothingToDo(f"{where}: no such folder or file")
    if not found:
        raise NothingToDo(f"{where}: holds no image; lgnet reads {', '.join(sorted(SUFFIXES))}")
    return found


def expanded(pattern: str) -> list[str]:
    """`a-{000..002}.tar` as its names, leading zeros kept; a name without braces as itself."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = match.groups()
    numbers = (str(n).zfill(len(first)) for n in range(int(first), int(last) + 1))
    return [name for n in numbers for name in expanded(pattern[: match.start()] + n + pattern[match.end() :])]


def _in_list(file: Path) -> list[Source]:
    if not file.is_file():
        raise NothingToDo(f"{file}: no such list")
    lines = [line.strip() for line in _text_of(file).split("\n")]
    return [Source(_named(file.parent, line)) for line in lines if line and not line.startswith("#")]


def _text_of(file: Path) -> str:
    """A list's text, in UTF-8 or UTF-16, with or without a byte-order mark; other bytes stay as in names of files."""
    data = file.read_bytes()
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
    if data[1:2] == b"\0" or data[:1] == b"\0":  # no path has a zero byte
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    return data.decode("utf-8", errors="surrogateescape")


def _named(folder: Path, line: str) -> str:
    """The path of a list's line; one that is no UTF-8, and no file's name as it is, is read as Latin-1."""
    path = folder / line
    try:
        line.encode()
    except UnicodeEncodeError:
        if not path.exists():
            path = folder / line.encode(errors="surrogateescape").decode("latin-1")
    return str(path)


def _in_shard(shard: str) -> list[Source]:
    """Only the headers are read here; a sample is read by its place when it is wanted, in any order."""
    try:
        with tarfile.open(shard, "r:") as tar:  # not compressed: members must have places of their own
            return [
                Source(shard, member.offset_data, member.size, member.name)
                for member in tar
                if member.isreg() and _is_image(member.name)
            ]
    except (OSError, tarfile.TarError) as error:
        raise FileError(f"{shard}: cannot be read as an uncompressed tar file: {error}") from error


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith(".")
