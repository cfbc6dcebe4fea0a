"""The holes of one photo, by all finders that were asked for."""

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from lgnet_cli.errors import MaskError, UsageError
from lgnet_cli.imaging.masks import dilated
from lgnet_cli.imaging.picture import Picture

from .color import Color
from .command import Command
from .constant import Constant
from .dust import Dust
from .options import NAMES, FindOptions, parse_window
from .protocol import Finder, Finding, Photo
from .scratches import Scratches
from .text import Text


def find(path: Path, picture: Picture, options: FindOptions) -> Finding:
    """All that the finders find in a photo, united, within the window, grown.

    Args:
        path: the photo's file.
        picture: the same, decoded and upright. Not changed.
        options: see FindOptions.

    Raises:
        MaskError: more was found than `options.max_found`, or an outside command failed.
        UsageError: a finder cannot be made out.
        MissingBackend: a finder needs what is not installed.
    """
    photo = Photo(path, picture)
    together = Finding(np.zeros(photo.shape, bool))
    for finder in finders(options):
        found = finder.find(photo)
        together.hole |= found.hole
        together.regions += found.regions
    if options.within:
        top, left, bottom, right = parse_window(options.within).on(photo.shape)
        inside = np.zeros(photo.shape, bool)
        inside[top:bottom, left:right] = True
        together.hole &= inside
    together.hole = dilated(together.hole, options.dilate)
    share = float(together.hole.mean())
    if share > options.max_found:
        raise MaskError(
            f"{path}: {', '.join(options.specs)} found {100 * share:.3g} % of the photo, "
            f"more than --max-found {100 * options.max_found:g}%",
            mend="look at it; if it is right, raise --max-found, else lower --sensitivity or give --within",
        )
    return together


@lru_cache(4)
def finders(options: FindOptions) -> tuple[Finder, ...]:
    """The finders that were asked for, once a process: some load a model. Raises as `find` does."""
    return tuple(_made(spec, options) for spec in options.specs)


def _made(spec: str, options: FindOptions) -> Finder:
    name, _, rest = spec.partition(":")
    if name == "color" and (match := re.fullmatch(r"#([0-9a-fA-F]{6})(?:~(\d{1,3}))?", rest)):
        red, green, blue = bytes.fromhex(match[1])
        return Color((red, green, blue), int(match[2] or 12))
    if name == "command":
        return Command(rest, options.command_timeout)
    if spec == "text":
        window = parse_window(options.within) if options.within else None
        return Text(window, options.text_matching, options.sensitivity)
    if spec == "constant":
        return Constant({(folder, shape): png for folder, shape, png in options.marks})
    if spec == "dust":
        return Dust(options.sensitivity)
    if spec == "scratches":
        return Scratches(options.sensitivity)
    raise UsageError(f"--find {spec}: no such finder", mend=f"there are {', '.join(NAMES)}")


def check(options: FindOptions) -> None:
    """Raise UsageError or MissingBackend now rather than for every photo."""
    if options.within:
        parse_window(options.within)
    try:
        re.compile(options.text_matching or "")
    except re.error as error:
        raise UsageError(f"--text-matching {options.text_matching}: {error}") from error
    finders(options)
