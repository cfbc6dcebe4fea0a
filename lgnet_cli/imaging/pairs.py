"""Which images there are, which mask belongs to each, where each result goes, and all that is wrong with that.

Matching goes by names, folder by folder, so that hundreds of thousands are checked within a second or so and are never
in memory at once; the pairs wait in a temporary file.
"""

import glob
import os
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lgnet_cli.errors import NothingToDo, UsageError
from lgnet_cli.places import exists, forget, is_dir, is_file, is_remote, place, real, within

from .folders import Names, matching, walk
from .formats import FORMATS, SUFFIXES
from .spool import Pairs

READABLE = frozenset(suffix[1:] for suffix in SUFFIXES)

CLASH = "several images with one output"
LINKED = "input that is a link into OUT"
OVERWRITTEN = "output that would overwrite an input"
IN_OUT = "image that lies in OUT"
OWN_MASK = "photo that would be its own mask (if its transparent pixels are the holes: --mask-from alpha)"


@dataclass
class Plan:
    """The pairs, each folder's in order of name before those of its folders, and what stands in the way, by kind."""

    pairs: Pairs
    skippable: dict[str, list[str]] = field(default_factory=dict)  # {headline: paths}; --allow-missing goes on without
    fatal: dict[str, list[str]] = field(default_factory=dict)
    matched: int = 0  # images with a mask; more than there are pairs where these are a share of the work

    def skip(self, headline: str, path: str) -> None:
        self.skippable.setdefault(headline, []).append(path)

    def refuse(self, headline: str, path: str) -> None:
        self.fatal.setdefault(headline, []).append(path)


@dataclass(frozen=True)
class _Question:
    """What `make_plan` was asked, with the file system's answers."""

    root: Path  # what results mirror
    pattern: tuple[str, ...] | None  # of a glob, below root
    masks: Path  # a folder, or one file for every image
    mask_for_all: bool
    own: bool  # every image is its own mask, and `masks` is where the images are
    out: Path
    output_format: str | None
    shard: tuple[int, int] | None
    walked: bool  # IMAGES is a folder: then a mask without an image is a mistake
    real_out: Path
    own_masks: bool  # a photo may be its own mask: its alpha is asked for

    def is_mine(self, image: str) -> bool:
        """Whether an image, by its path below the root, belongs to the share of the work that was asked for."""
        return self.shard is None or zlib.crc32(os.fsencode(image)) % self.shard[1] == self.shard[0] - 1


def make_plan(
    images: str, masks: Path | None, out: Path, output_format: str | None = None, shard: tuple[int, int] | None = None,
    own_masks: bool = False,
) -> Plan:  # fmt: skip
    """Match images with masks. Any of the three may be remote, as `place` makes it.

    Args:
        images: a folder (walked recursively), a file, or a glob pattern (`**` is any depth), as it was typed.
        masks: a folder, matched by relative path and stem whatever the suffix, or one file for every image;
            None where masks are found or lie in the images: then each image stands as its own mask.
        out: the folder that mirrors IMAGES; or, where IMAGES is one file and `out` has an image suffix, the result.
        output_format: JPEG, PNG, WEBP, TIFF or BMP; None keeps each input's name and format.
        shard: (i, n), 1 <= i <= n: keep the pairs whose image's path below IMAGES falls to the i-th of n machines.
            Everything is checked; a path falls to the same machine whatever else there is.
        own_masks: a photo may be its own mask, which is refused otherwise: by its name, through links, as one file.

    Raises:
        UsageError: IMAGES or MASKS do not exist.
        NothingToDo: there is no image.
    """
    forget()
    path = place(images)
    single, walked, mask_for_all = is_file(path), is_dir(path), masks is not None and is_file(masks)
    if not (walked or single or glob.has_magic(images)):
        raise UsageError(f"{images}: {'not an ordinary file' if exists(path) else 'no such file or folder'}")
    if masks is not None and not (mask_for_all or is_dir(masks)):
        raise UsageError(f"{masks}: no such mask file or folder")
    root = path if walked else path.parent if single else _fixed_part(path)
    pattern = None if walked or single else path.parts[len(root.parts) :]
    own, masks = masks is None, masks if masks is not None else root
    asked = _Question(
        root, pattern, masks, mask_for_all, own, out, output_format, shard, walked, real(out), own or own_masks
    )  # fmt: skip
    named = single and out.suffix.lower() in SUFFIXES and not is_dir(out)
    plan = Plan(Pairs(root, masks.parent if mask_for_all else masks, out.parent if named else out))
    if single:
        _match_one(plan, path, out if named else None, asked)
    else:
        _match_all(plan, asked, images)
    _check_folders(plan, asked)
    return plan


def _match_all(plan: Plan, asked: _Question, images: str) -> None:
    found = 0
    for below, here, drawn in walk(asked.root, None if asked.mask_for_all or asked.own else asked.masks, asked.pattern):
        chosen = matching(here, below, asked.pattern) if asked.pattern else here
        _leave_out_masks(chosen, here, below, asked)
        found += _match_folder(plan, below, chosen, drawn, asked)
    if not found:
        raise NothingToDo(f"{images}: no image there", mend=f"lgnet reads {' '.join(SUFFIXES)}")


def _leave_out_masks(chosen: Names, here: Names, below: str, asked: _Question) -> None:
    """One mask for all that lies among the photos is no photo, and neither is a folder of masks among them."""
    if asked.mask_for_all and not asked.own_masks:
        if real(asked.root / below) == real(asked.masks.parent) and asked.masks.name in chosen.files:
            chosen.files.remove(asked.masks.name)
    elif real(asked.root) != real(asked.masks):
        masks, name = real(asked.masks), asked.masks.name
        here.folders[:] = [n for n in here.folders if n != name or real(asked.root / below / n) != masks]


def _match_one(plan: Plan, image: Path, result: Path | None, asked: _Question) -> None:
    """Whoever names a file means it, whatever its suffix; what is inside decides."""
    drawn = Names() if asked.mask_for_all or asked.own else next(walk(asked.masks, None, None))[1]
    own = image.name if asked.own else asked.masks.name
    candidates = [own] if asked.mask_for_all or asked.own else _listed(_by_stem(drawn).get(image.stem, []))
    target = result.name if result else _renamed(image.name, asked.output_format)
    if len(candidates) == 1:
        folder = result.parent if result else asked.out
        _check_target(plan, image, folder / target, asked)
        _check_own(plan, image, asked.masks if asked.mask_for_all else asked.masks / candidates[0], asked)
        if is_dir(asked.out) and within(real(image), asked.real_out):
            plan.refuse(IN_OUT, str(image))
        plan.matched = 1
        plan.pairs.add([image.name, candidates[0], target] if asked.is_mine(image.name) else [])
    else:
        _skip_image(plan, asked, image, candidates, "")


def _match_folder(plan: Plan, below: str, here: Names, drawn: Names, asked: _Question) -> int:
    """Match the files of one folder; how many images it has. (Two names cost 5 us, so that 200,000 are no wait.)"""
    jobs: list[str] = []
    masks, used, targets = _by_stem(drawn), set(), []
    start = below + os.sep if below else ""
    links = {*here.links, *drawn.links}
    same = not asked.mask_for_all and real(asked.root / below) == real(asked.masks / below)
    for name in sorted(here.files):
        stem, suffix = split(name)
        if suffix not in READABLE:
            plan.skip("not an image lgnet reads (by its suffix)", str(asked.root / below / name))
            continue
        used.add(stem)
        mask = name if asked.own else asked.masks.name if asked.mask_for_all else masks.get(stem)
        if isinstance(mask, str):
            target = _renamed(name, asked.output_format) if asked.output_format else name
            targets.append((name, target))
            if same or name in links or mask in links:
                drawn_on = asked.masks if asked.mask_for_all else asked.masks / below / mask
                _check_own(plan, asked.root / below / name, drawn_on, asked)
            if asked.is_mine(start + name):
                jobs += (start + name, mask if asked.mask_for_all else start + mask, start + target)
        else:
            _skip_image(plan, asked, asked.root / below / name, mask or [], below)
    plan.matched += len(targets)
    plan.pairs.add(jobs)
    if asked.walked:  # a file or a glob is a choice among the images, and leaves masks over
        for stem in sorted(masks.keys() - used):
            for left in _listed(masks[stem]):
                plan.skip("mask without an image", str(asked.masks / below / left))
    for folder, found in ((asked.root / below, here), (asked.masks / below, drawn)):
        _name_odd(plan, folder, found, all_of_them=found is here)
        _check_links(plan, folder, found, asked)
    _check_targets(plan, below, targets, asked)
    return len(used)


def _check_own(plan: Plan, image: Path, mask: Path, asked: _Question) -> None:
    """Whether a photo and its mask are one file."""
    if not asked.own_masks and real(image) == real(mask):
        plan.refuse(OWN_MASK, str(image))


def _skip_image(plan: Plan, asked: _Question, image: Path, candidates: list[str], below: str) -> None:
    if candidates:
        listed = ", ".join(str(asked.masks / below / name) for name in sorted(candidates))
        plan.skip("image with several masks", f"{image}: {listed}")
    else:
        plan.skip("image without a mask", str(image))


def _name_odd(plan: Plan, folder: Path, found: Names, all_of_them: bool) -> None:
    """Nothing that might be an image is passed over in silence; of masks, what has another suffix is nobody's."""
    for what, name in sorted(found.odd):
        locked_or_folder = name.startswith(":") or what.startswith("link to a folder")
        if all_of_them or locked_or_folder or Path(name).suffix.lower() in SUFFIXES:
            plan.skip(what, f"{folder}{name}" if name.startswith(":") else str(folder / name))


def _check_links(plan: Plan, folder: Path, found: Names, asked: _Question) -> None:
    """A link among the inputs that leads into OUT: what it shows would change under the batch."""
    for name in found.links:
        if within(real(folder / name), asked.real_out):
            plan.refuse(LINKED, str(folder / name))


def _check_targets(plan: Plan, below: str, targets: list[tuple[str, str]], asked: _Question) -> None:
    """All outputs of one folder: distinct, and over no input."""
    folder, source = asked.out / below, asked.root / below
    for name in clashing([target for _, target in targets], bool(targets) and ignores_case(folder)):
        for image in sorted(image for image, target in targets if target == name):
            plan.refuse(CLASH, f"{source / image} -> {folder / name}")
    if not asked.walked and within(real(source), asked.real_out) and is_dir(asked.out):
        for image, _ in targets:
            plan.refuse(IN_OUT, str(source / image))
    target_folder = real(folder)
    inputs = [real(asked.root), real(asked.masks)]
    if any(within(target_folder, there) or there.parent == target_folder for there in inputs):
        for image, target in targets:
            _check_target(plan, source / image, folder / target, asked)


def _check_target(plan: Plan, image: Path, output: Path, asked: _Question) -> None:
    target, masks = real(output.parent) / output.name, real(asked.masks)
    inside = within(target, real(asked.root)) and (asked.walked or asked.pattern is not None)
    if target in (real(image), masks) or ((inside or (within(target, masks) and not asked.own)) and exists(output)):
        plan.refuse(OVERWRITTEN, str(output))


def clashing(targets: list[str], ignore_case: bool) -> list[str]:
    """The names that others have too, sorted, each once."""
    keys = [name.casefold() for name in targets] if ignore_case else targets
    if len(set(keys)) == len(keys):
        return []
    counts = Counter(keys)
    return sorted({name for name, key in zip(targets, keys, strict=True) if counts[key] > 1})


def ignores_case(folder: Path) -> bool:
    """Whether the file system of `folder`, or of what there is of its path, takes A.png and a.png for one name.

    Told by the last part of the path that there is and has letters; a mounted file system's own top has none to tell,
    and remote ones are taken to know one from the other.
    """
    for there in () if is_remote(folder) else (folder, *folder.parents):
        other = there.with_name(there.name.swapcase()) if there.name else there
        if other != there and there.exists():
            return other.exists() and other.samefile(there)
    return False


def _check_folders(plan: Plan, asked: _Question) -> None:
    folders = {
        "IMAGES": asked.root if asked.walked else None,
        "MASKS": None if asked.mask_for_all or asked.own else asked.masks,
    }
    for name, folder in folders.items():
        if folder is not None and within(asked.real_out, real(folder)):
            plan.refuse(f"OUT is {name} or lies inside it: results would become inputs", str(asked.out))


def _by_stem(drawn: Names) -> dict[str, str | list[str]]:
    """{name without suffix: the mask, or several}."""
    found: dict[str, str | list[str]] = {}
    for name in drawn.files:
        stem, suffix = split(name)
        if suffix in READABLE:
            found[stem] = sorted([*_listed(found[stem]), name]) if stem in found else name
    return found


def _listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def split(name: str) -> tuple[str, str]:
    """(stem, suffix in lower case, without its dot) as Path tells them, whose making takes ten times as long."""
    stem, _, suffix = name.rpartition(".")
    return (stem, suffix.lower()) if stem else (name, "")


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first wildcard: what a glob's results mirror."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _renamed(name: str, output_format: str | None) -> str:
    """A result's name: its input's, unless its suffix promises another format than the one asked for."""
    stem, suffix = split(name)
    if output_format is None or SUFFIXES.get(f".{suffix}") == output_format:
        return name
    return stem + FORMATS[output_format]
