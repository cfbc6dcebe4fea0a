"""`python -m lgnet_cli`: the `lgnet` command."""

from .main import main

main()
