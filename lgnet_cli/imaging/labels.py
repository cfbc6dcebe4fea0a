"""Masks that are label maps or drawn in colours: which of their pixels are meant."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lgnet_cli.errors import MaskError, UsageError

from .picture import Array, Picture, to_rgb

AUTO = "auto"


def check(values: str) -> None:
    """Raise UsageError unless `values` is what `marked` takes."""
    for value in values.split(",") if values not in ("", AUTO) else ():
        if not value.strip().isdecimal() and _colour(value.strip()) is None:
            raise UsageError(f"--mask-values {values}: expected auto, labels such as 1,3, or colours such as '#ff0000'")


def marked(mask: Picture, data: bytes, path: Path, values: str) -> NDArray[np.bool_]:
    """(H, W) bool: the pixels of a mask that `values` mean.

    Args:
        mask: as decoded.
        data: its file's bytes, for the labels of a palette.
        path: what errors name.
        values: `auto`: all that are not black; numbers, by commas: labels, that is the file's own values, or the
            indices of its palette; `#rrggbb`: colours.

    Raises:
        MaskError: a label is asked of a mask in colours.
    """
    colours = to_rgb(mask.pixels, mask.kind)
    if values == AUTO:
        channels = mask.pixels if mask.kind in ("grey", "rgb") else mask.pixels[:, :, :-1]
        return np.asarray(channels.any(axis=2) if mask.kind != "cmyk" else colours.any(axis=2))
    result = np.zeros(colours.shape[:2], bool)
    for value in map(str.strip, values.split(",")):
        colour = _colour(value)
        result |= (colours == colour).all(axis=2) if colour else _labels(mask, data, path) == int(value)
    return result


def _labels(mask: Picture, data: bytes, path: Path) -> Array:
    """(H, W) A mask's own numbers."""
    if mask.kind == "grey":
        return np.asarray(mask.pixels[:, :, 0])
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "P" and mask.turned == 1:
            return np.asarray(image)
    colours = to_rgb(mask.pixels, mask.kind)
    if (colours == colours[:, :, :1]).all():
        return np.asarray(colours[:, :, 0])
    raise MaskError(f"{path}: is in colours and has no labels", mend="name a colour: --mask-values '#ff0000'")


def _colour(value: str) -> tuple[int, ...] | None:
    digits = value.removeprefix("#")
    if digits == value or len(digits) != 6:
        return None
    try:
        return tuple(bytes.fromhex(digits))
    except ValueError:
        return None
