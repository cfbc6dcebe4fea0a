"""Options that many commands have."""

from typing import Annotated

import typer

Verbose = Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")]
