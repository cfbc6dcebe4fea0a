"""What lies in a folder, one folder at a time: trees of any size, with links, pipes and locked folders in them."""

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lgnet_cli.errors import FileError
from lgnet_cli.places import entries, is_remote

LINK = "link to a folder (links to folders are not followed)"
ODD = "neither a file nor a folder (a pipe, a device, a broken link)"
LOCKED = "folder that cannot be read"
NAMELESS = "name that only an object store allows (empty, a dot, two dots, with a zero byte)"

IGNORED = "Thumbs.db"
"""Besides names that begin with a dot (.DS_Store, .git): nobody's photos."""


@dataclass
class Names:
    """The names in one folder, without hidden ones."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # those of the files that are links
    odd: list[tuple[str, str]] = field(default_factory=list)  # (what it is, name or ""): nothing that can be taken


def names(folder: Path) -> Names:
    """List one folder, unsorted; empty if there is none."""
    if is_remote(folder):
        return _remote_names(folder)
    found = Names()
    try:
        with os.scandir(folder) as listed:
            for entry in listed:
                if entry.name[0] == "." or entry.name == IGNORED:
                    continue
                if entry.is_file(follow_symlinks=False):  # without asking the disk again, so first
                    found.files.append(entry.name)
                else:
                    _sort_in(entry, found)
    except FileNotFoundError:
        pass
    except OSError as error:  # of the folder, or of an entry whose kind only a look at it would tell
        found.odd.append((LOCKED, f": {error.strerror}"))
    return found


def _sort_in(entry: "os.DirEntry[str]", found: Names) -> None:
    try:
        if entry.is_file():
            found.files.append(entry.name)
            found.links.append(entry.name)
        elif entry.is_dir():
            if entry.is_symlink():
                found.odd.append((LINK, entry.name))
            else:
                found.folders.append(entry.name)
        else:
            found.odd.append((ODD, entry.name))
    except OSError:  # a loop of links, or a folder that may be listed but not entered
        found.odd.append((ODD, entry.name))


def _remote_names(folder: Path) -> Names:
    found = Names()
    try:
        for name, kind, _ in entries(folder):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                found.odd.append((NAMELESS, name or "/"))
            elif name[0] != "." and name != IGNORED:
                kinds = {"file": found.files, "directory": found.folders}
                kinds[kind].append(name) if kind in kinds else found.odd.append((ODD, name))
    except FileNotFoundError:
        pass
    except OSError as error:
        found.odd.append((LOCKED, f": {error.strerror}"))
    return found


def walk(root: Path, beside: Path | None, pattern: tuple[str, ...] | None) -> Iterator[tuple[str, Names, Names]]:
    """(folder below `root`, what is in it, what is in `beside`'s folder of that name), each folder before its own.

    Args:
        root: where to begin.
        beside: a second tree, walked along; its folders are visited even if `root` has none of that name.
        pattern: parts of a glob below `root`; folders that cannot hold a match are not entered, and those that are in
            `beside` alone are not visited.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        here = names(root / below)
        there = names(beside / below) if beside else Names()
        yield below, here, there
        folders = set(here.folders) if pattern else {*here.folders, *there.folders}
        inner = [os.path.join(below, name) for name in sorted(folders, reverse=True)]  # noqa: PTH118 (names, not paths)
        pending += [name for name in inner if pattern is None or _may_hold(Path(name).parts, pattern)]


def matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a relative path fits a glob, part by part; `**` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return matches(parts, pattern[1:]) or (bool(parts) and matches(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def matching(here: Names, below: str, pattern: tuple[str, ...]) -> Names:
    """What of a folder fits a glob."""
    parts = Path(below).parts

    def fits(name: str) -> bool:
        return matches((*parts, name), pattern)

    odd = [(what, name) for what, name in here.odd if name.startswith(":") or fits(name)]
    return Names([n for n in here.files if fits(n)], here.folders, [n for n in here.links if fits(n)], odd)


def _may_hold(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether something below the folder `parts` can fit the glob."""
    for part, wanted in zip(parts, pattern, strict=False):
        if wanted == "**":
            return True
        if not fnmatch.fnmatchcase(part, wanted):
            return False
    return len(parts) < len(pattern)


def files_below(folder: Path) -> list[Path]:
    """Every file at any depth, sorted, without hidden ones; links to folders are not followed.

    Raises:
        FileError: a folder cannot be read, so that its files would be missing in silence.
    """
    found = []
    for below, here, _ in walk(folder, None, None):
        locked = [name for what, name in here.odd if what == LOCKED and name.startswith(":")]
        if locked:
            raise FileError(f"{folder / below}{locked[0]}")
        found += [folder / below / name for name in here.files]
    return sorted(found)
