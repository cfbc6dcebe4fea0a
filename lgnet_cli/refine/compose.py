"""From where patches match to pixels: the fine detail of one copy over the colours that all patches agree on.

The mean of all patches over a pixel is smooth, which costs more than half the detail; one copy alone has seams.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .membrane import Floats

BAND = 2.0
"""Sigma in pixels: finer detail comes from one copy, coarser from the mean of all votes."""


@dataclass(frozen=True)
class Match:
    """Where the pixels of a hole come from, in a window with a frame around it."""

    image: Floats  # (H, W, C), levels
    voted: Floats  # (H, W, C), the mean of what the patches over each pixel of the hole say
    rows: Floats  # (H, W), from each pixel of the hole to where it is copied from
    columns: Floats
    top: int  # pixels of the frame
    left: int

    def composed(self, shape: tuple[int, ...]) -> Floats:
        """The window of `shape` (height, width) at its own size, without the frame: (height, width, C), levels."""
        colours, voted = np.ascontiguousarray(self.image), np.ascontiguousarray(self.voted)
        fine = colours - cv2.GaussianBlur(colours, (0, 0), BAND).reshape(colours.shape)
        y, x = np.arange(len(fine), dtype=np.float32)[:, None], np.arange(fine.shape[1], dtype=np.float32)[None]
        copied = cv2.remap(fine, x + self.columns, y + self.rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        coarse = cv2.GaussianBlur(voted, (0, 0), BAND)
        whole = coarse.reshape(colours.shape) + copied.reshape(colours.shape)
        return np.asarray(whole[self.top : self.top + shape[0], self.left : self.left + shape[1]], np.float32)

    def source_of(self, box: tuple[slice, slice], scale: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For a window that was made smaller by `scale`: rows and columns, (h, w) each, that `box` of the large one is
        copied from."""
        y, x = (np.arange(side.start, side.stop) for side in box)
        at = np.ix_(y // scale + self.top, x // scale + self.left)
        rows, columns = (scale * offsets[at].astype(np.int64) for offsets in (self.rows, self.columns))
        return y[:, None] + rows, x[None] + columns

    def enlarged(self, box: tuple[slice, slice], scale: int, copied: Floats) -> Floats:
        """The colours of `box` of the large window, with all detail that the small one lacks taken from the copy.

        Args:
            box: rows and columns of the large window.
            scale: by which the window was made smaller.
            copied: (h, w, C), the levels of the large window at `source_of`.
        """
        y, x = ((np.arange(side.start, side.stop, dtype=np.float32) + 0.5) / scale - 0.5 for side in box)
        rows, columns = np.meshgrid(y + self.top, x + self.left, indexing="ij")
        at = np.ix_(*(np.arange(s.start, s.stop) // scale + f for s, f in zip(box, (self.top, self.left), strict=True)))
        wanted = cv2.remap(self.voted, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        had = cv2.remap(
            self.image, columns + self.columns[at], rows + self.rows[at], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(wanted.reshape(copied.shape) + copied - had.reshape(copied.shape), np.float32)
