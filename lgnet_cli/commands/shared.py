"""Options that several commands have."""

from enum import Enum
from typing import Annotated

import typer

Verbose = Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")]


class Polarity(str, Enum):
    white_hole = "white-hole"
    black_hole = "black-hole"


class MaskSource(str, Enum):
    luminance = "luminance"
    alpha = "alpha"


class DrawnOn(str, Enum):
    auto = "auto"
    shown = "shown"
    stored = "stored"
