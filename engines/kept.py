"""Where lgnet keeps what takes long to make."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/lgnet, or ~/.cache/lgnet; made if it is not there."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lgnet"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
