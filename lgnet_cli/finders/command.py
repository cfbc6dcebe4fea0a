"""`command:'CMD {image} {mask}'`: any other program that writes a mask, such as rembg, a detector, or a script.

It is started without a shell, for each photo, with the photo's path and the path of a PNG that it is to write (white =
hole). What it misses is its own affair; what goes wrong fails that photo alone.
"""

import shlex
import subprocess
import tempfile
from pathlib import Path

from lgnet_cli.errors import FileError, MaskError, UsageError
from lgnet_cli.imaging.masks import MaskOptions, read_mask
from lgnet_cli.places import is_remote

from .protocol import Finding, Photo, regions_of


class Command:
    """Runs a program."""

    def __init__(self, command: str, seconds: float) -> None:
        """`command`: with {image} and {mask} in it. `seconds`: after which it is ended. Raises UsageError."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--find command:{command}: {error}") from error
        if not self._words or not all(any(part in word for word in self._words) for part in ("{image}", "{mask}")):
            raise UsageError(f"--find command:{command}: expected {{image}} and {{mask}} in it",
                             mend="such as --find \"command:rembg i -om {image} {mask}\"")  # fmt: skip
        self._seconds = seconds

    def find(self, photo: Photo) -> Finding:
        if is_remote(photo.path):
            raise FileError(f"{photo.path}: --find command: works on files of this machine")
        with tempfile.TemporaryDirectory(prefix="lgnet-") as folder:
            mask = Path(folder, "mask.png")
            self._run(photo.path.absolute(), mask)
            if not mask.is_file():
                raise MaskError(f"{photo.path}: {self._words[0]} has written no {{mask}}")
            hole = read_mask(mask, photo.picture, MaskOptions())
        return Finding(hole, regions_of(hole, self._words[0]))

    def _run(self, image: Path, mask: Path) -> None:
        words = [word.replace("{image}", str(image)).replace("{mask}", str(mask)) for word in self._words]
        try:
            done = subprocess.run(  # noqa: S603 (the user's own command, and no shell)
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise MaskError(f"{image}: {words[0]} took more than {self._seconds:g} s",
                            mend="give it more: --command-timeout") from None  # fmt: skip
        except OSError as error:
            raise MaskError(f"{image}: {words[0]} cannot be started: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise MaskError(f"{image}: {words[0]} failed with {done.returncode}: {said[-1] if said else 'no message'}")
