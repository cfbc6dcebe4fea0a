"""What finders are told: once for a batch, and the same for each of its processes and machines."""

import re
from dataclasses import dataclass

from lgnet_cli.errors import UsageError

NAMES = ("text", "color:#rrggbb~TOLERANCE", "constant", "dust", "scratches", "command:'CMD {image} {mask}'")


@dataclass(frozen=True)
class Window:
    """The part of a photo that is looked at: left, top, right, bottom, each in pixels or as a share of the side."""

    sides: tuple[tuple[float, bool], ...]  # (number, whether it is a share)

    def on(self, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) in pixels of a photo of (height, width), inside of it."""
        height, width = shape
        limits = (width, height, width, height)
        left, top, right, bottom = (
            min(limit, round(number * limit if share else number))
            for (number, share), limit in zip(self.sides, limits, strict=True)
        )
        return top, left, bottom, right


def parse_window(text: str) -> Window:
    """`LEFT,TOP,RIGHT,BOTTOM`, each in pixels or, with %, of the photo's width or height. Raises UsageError."""
    parts = [re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", part.strip()) for part in text.split(",")]
    if len(parts) != 4 or None in parts:
        raise UsageError(
            f"--within {text}: expected LEFT,TOP,RIGHT,BOTTOM in pixels or percent", mend="such as 60%,85%,100%,100%"
        )
    sides = tuple((float(part[1]) / (100 if part[2] else 1), bool(part[2])) for part in parts if part)
    for low, high in ((sides[0], sides[2]), (sides[1], sides[3])):
        if low[1] == high[1] and low[0] >= high[0]:
            raise UsageError(f"--within {text}: LEFT must be less than RIGHT, and TOP less than BOTTOM")
    return Window(sides)


@dataclass(frozen=True)
class FindOptions:
    """What to find, and how. Everything here shows in the masks."""

    specs: tuple[str, ...]  # as `--find` takes them
    within: str | None = None  # see `parse_window`
    text_matching: str | None = None  # a regular expression
    sensitivity: float = 1.0  # of text, dust and scratches: above 1, more is found
    command_timeout: float = 60.0  # seconds
    max_found: float = 0.3  # share of a photo; more fails it
    dilate: int = 2  # pixels that the holes grow by
    marks: tuple[tuple[str, tuple[int, int], bytes], ...] = ()  # of `constant`, filled in once the folders were read
