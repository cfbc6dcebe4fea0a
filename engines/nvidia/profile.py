"""A profile: how many images of which sizes an engine takes in one call."""

from dataclasses import dataclass

from lgnet_cli.errors import EngineError, UsageError
from lgnet_cli.spec import SIZE_MULTIPLE

MAX_BATCH = 1024
MAX_SIDE = 4096
"""Images and pixels that a profile may ask for; more is a slip of the keyboard, and takes the builder down."""

LANES = 2
"""Batches on their way at a time, each in buffers of its own."""

MAX_BUFFERS = 4 << 30
"""Bytes of page-locked memory for all of them; a profile that wants more is refused before they are asked for."""


@dataclass(frozen=True)
class Profile:
    """What an engine takes: least, best and most of each. Its tactics are chosen for the best."""

    batch: tuple[int, int, int]  # images
    side: tuple[int, int, int]  # pixels, of height and of width

    @property
    def fixed_size(self) -> int | None:
        """The only side, or None where there are several."""
        return self.side[0] if self.side[0] == self.side[2] else None

    @property
    def sizes(self) -> str:
        """As EngineInfo says it: "256", or "256..1024"."""
        return str(self.side[0]) if self.fixed_size else f"{self.side[0]}..{self.side[2]}"

    @property
    def singles(self) -> "Profile | None":
        """That of single images, which a plan for batches is built for too: kernels for many are slow for one."""
        return Profile((1, 1, 1), self.side) if self.batch[0] == 1 < self.batch[2] else None

    @property
    def buffer_bytes(self) -> int:
        """Of 8-bit images, masks and results of the largest batch, for all lanes; as much again on the device."""
        return LANES * self.batch[2] * self.side[2] ** 2 * (3 + 1 + 3)

    def check_shape(self, height: int, width: int) -> None:
        """Raises EngineError where an engine of this profile cannot take it."""
        least, _, most = self.side
        if any(side % SIZE_MULTIPLE or not least <= side <= most for side in (height, width)):
            raise EngineError(
                f"{height} x {width} is not within this engine's profile, {self.sizes} in multiples of {SIZE_MULTIPLE}",
                mend=f"use --hd crop, or build one for it: lgnet build-engine WEIGHTS --size {least}..SIDE",
            )


def parse_profile(batch: str, size: str) -> Profile:
    """`--batch 8` or `1,8,32`, `--size 256` or `256..1024`. Raises UsageError, before any builder starts."""
    counts = _numbers(batch, ",", "--batch", "as one number, or as least,best,most: --batch 1,8,32")
    sides = _numbers(size, "..", "--size", f"in multiples of {SIZE_MULTIPLE}: --size 256, or --size 256..1024")
    if len(counts) not in (1, 3) or counts != sorted(counts) or not 1 <= counts[0] <= counts[-1] <= MAX_BATCH:
        raise UsageError(
            f"--batch {batch}: expected one number, or three rising ones (least, best, most), of 1 to {MAX_BATCH}",
            mend="give --batch 8 or --batch 1,8,32",
        )
    if len(sides) > 2 or sides != sorted(sides) or any(s % SIZE_MULTIPLE or not 0 < s <= MAX_SIDE for s in sides):
        raise UsageError(
            f"--size {size}: the network halves a picture eight times, so every side is a multiple of {SIZE_MULTIPLE}, "
            f"up to {MAX_SIDE}",
            mend="give --size 256 or --size 256..1024",
        )
    least, best, most = counts * 3 if len(counts) == 1 else counts
    return Profile((least, best, most), (sides[0], sides[0], sides[-1]))  # crops are of the least size: best there


def _numbers(text: str, separator: str, option: str, how: str) -> list[int]:
    parts = text.split(separator)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"{option} {text}: not numbers", mend=f"give it {how}")
    return [int(part) for part in parts]
