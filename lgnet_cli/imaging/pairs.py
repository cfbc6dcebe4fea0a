"""Which images there are, which mask belongs to each, where each result goes, and all that is wrong with that."""

import glob
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from lgnet_cli.errors import NothingToDo, UsageError

from .formats import FORMATS, SUFFIXES


@dataclass(frozen=True)
class Pair:
    """One job: an image, its mask, and where the result goes."""

    image: Path
    mask: Path
    output: Path


@dataclass
class Plan:
    """The pairs in sorted order, and what stands in the way, by kind: {headline: [paths]}."""

    pairs: list[Pair] = field(default_factory=list)
    skippable: dict[str, list[str]] = field(default_factory=dict)  # --allow-missing goes on without these
    fatal: dict[str, list[str]] = field(default_factory=dict)


def make_plan(images: str, masks: Path, out: Path, output_format: str | None = None) -> Plan:
    """Match images with masks.

    Args:
        images: a folder (walked recursively), a file, or a glob pattern (`**` is any depth).
        masks: a folder, matched by relative path and stem whatever the suffix, or one file for every image.
        out: the folder that mirrors IMAGES; or, where IMAGES is one file and `out` has an image suffix, the result.
        output_format: JPEG, PNG, WEBP, TIFF or BMP; None keeps each input's name and format.

    Raises:
        UsageError: IMAGES or MASKS do not exist.
        NothingToDo: there is no image.
    """
    root, found, unreadable = _images(images)
    plan = Plan()
    if unreadable:
        plan.skippable["not an image lgnet reads (by its suffix)"] = unreadable
    if not found:
        raise NothingToDo(f"{images}: no image there", mend=f"lgnet reads {' '.join(SUFFIXES)}")
    of_stem = _masks_by_stem(masks) if masks.is_dir() else None
    if of_stem is None and not masks.is_file():
        raise UsageError(f"{masks}: no such mask file or folder")
    single = out if root is None and out.suffix.lower() in SUFFIXES and not out.is_dir() else None
    used = set()
    for image in found:
        relative = Path(image.name) if root is None else image.relative_to(root)
        stem = relative.with_suffix("").as_posix()
        used.add(stem)
        candidates = [masks] if of_stem is None else of_stem.get(stem, [])
        target = single or out / _renamed(relative, output_format)
        if len(candidates) == 1:
            plan.pairs.append(Pair(image, candidates[0], target))
        elif candidates:
            plan.skippable.setdefault("image with several masks", []).append(f"{image}: {_names(candidates)}")
        else:
            plan.skippable.setdefault("image without a mask", []).append(str(image))
    unused = sorted(str(mask) for stem, left in (of_stem or {}).items() if stem not in used for mask in left)
    if unused and Path(images).is_dir():  # a file or a glob is a choice among the images, and leaves masks over
        plan.skippable["mask without an image"] = unused
    _check_outputs(plan, Path(images) if Path(images).is_dir() else None, masks, out)
    return plan


def _images(images: str) -> tuple[Path | None, list[Path], list[str]]:
    """(the folder that results mirror, or None for a single file; images; files of other suffixes), both sorted."""
    path = Path(images)
    if path.is_dir():
        files, root = _walk(path), path
    elif path.is_file():
        return None, [path], []
    elif glob.has_magic(images):
        files = sorted(Path(name) for name in glob.glob(images, recursive=True) if Path(name).is_file())  # noqa: PTH207
        root = _fixed_part(images)
    else:
        raise UsageError(f"{images}: no such file or folder")
    readable = [file for file in files if file.suffix.lower() in SUFFIXES]
    return root, readable, [str(file) for file in files if file.suffix.lower() not in SUFFIXES]


def _walk(folder: Path) -> list[Path]:
    """Every ordinary file below `folder`, sorted; hidden files and folders (.DS_Store, .git) are nobody's photos."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".") and name != "Thumbs.db"]
    return sorted(file for file in found if file.is_file())


def _fixed_part(pattern: str) -> Path:
    """The folder above the first wildcard: what a glob's results mirror."""
    parts = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _masks_by_stem(folder: Path) -> dict[str, list[Path]]:
    """{relative path without suffix: masks}."""
    masks = defaultdict(list)
    for file in _walk(folder):
        if file.suffix.lower() in SUFFIXES:
            masks[file.relative_to(folder).with_suffix("").as_posix()].append(file)
    return dict(masks)


def _check_outputs(plan: Plan, walked: Path | None, masks: Path, out: Path) -> None:
    counts = Counter(pair.output for pair in plan.pairs)
    clashing = [f"{pair.image} -> {pair.output}" for pair in plan.pairs if counts[pair.output] > 1]
    if clashing:
        plan.fatal["several images with one output"] = clashing
    for name, folder in (("IMAGES", walked), ("MASKS", masks if masks.is_dir() else None)):
        if folder is not None and out.resolve().is_relative_to(folder.resolve()):
            plan.fatal[f"OUT is {name} or lies inside it: results would become inputs"] = [str(out)]
    results = [str(pair.image) for pair in plan.pairs if pair.image.resolve().is_relative_to(out.resolve())]
    if walked is None and out.is_dir() and results:
        plan.fatal["image that lies in OUT"] = results
    taken = {pair.image.resolve() for pair in plan.pairs} | {pair.mask.resolve() for pair in plan.pairs}
    overwritten = [str(pair.output) for pair in plan.pairs if pair.output.resolve() in taken]
    if overwritten:
        plan.fatal["output that would overwrite an input"] = overwritten


def _renamed(relative: Path, output_format: str | None) -> Path:
    """A result's name: its input's, unless its suffix promises another format than the one asked for."""
    if output_format is None or SUFFIXES.get(relative.suffix.lower()) == output_format:
        return relative
    return relative.with_suffix(FORMATS[output_format])


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths)
