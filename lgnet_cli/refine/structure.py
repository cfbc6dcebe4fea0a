"""A start that continues lines: the hole is filled patch by patch from its border, strong edges first.

After Criminisi, Perez and Toyama, "Region Filling and Object Removal by Exemplar-Based Image Inpainting" (2004): the
next patch is the one on the border whose surroundings are known best and into which the strongest edge leads.
"""

import cv2
import numpy as np

from lgnet_cli.imaging.masks import Hole

from .level import REACH, SIDE, Level
from .membrane import Floats

LEAST_EDGE = 1.0
"""Levels of contrast that every border pixel is given, so that plain parts are filled from outside to inside."""


def continued(level: Level, guess: float = 0.0) -> Floats:
    """The level's image (H, W, C) with its hole filled; what no patch reaches keeps what it shows.

    Args:
        level: the coarsest size of the window.
        guess: how much what the image shows in the hole counts beside what is known; 0 is not at all.
    """
    image, todo = level.image.copy(), level.hole.copy()
    confidence = (~todo).astype(np.float32)
    y, x = np.nonzero(level.sources)
    patches = level.patches(level.image, y, x)
    squares = (patches**2).reshape(len(y), SIDE * SIDE, -1).sum(axis=2)
    while True:
        trust = cv2.blur(confidence, (SIDE, SIDE))
        border = todo & (cv2.erode(todo.view(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        border[:REACH], border[-REACH:], border[:, :REACH], border[:, -REACH:] = False, False, False, False
        if not border.any():
            return image
        priority = np.where(border, trust * (LEAST_EDGE + _edges(image, todo)), -1)
        row, column = divmod(int(priority.argmax()), level.width)
        part = slice(row - REACH, row + REACH + 1), slice(column - REACH, column + REACH + 1)
        known = np.where(todo[part], np.float32(guess), np.float32(1)).ravel()
        shown = (image[part].reshape(SIDE * SIDE, -1) * known[:, None]).ravel()
        best = int((squares @ known - 2 * (patches @ shown)).argmin())
        source = slice(y[best] - REACH, y[best] + REACH + 1), slice(x[best] - REACH, x[best] + REACH + 1)
        np.copyto(image[part], level.image[source], where=todo[part][:, :, None])
        confidence[part][todo[part]] = trust[row, column]
        todo[part] = False


def _edges(image: Floats, todo: Hole) -> Floats:
    """How strong an edge leads across the border of what is still to be filled, near each pixel: (H, W) in levels."""
    grey = np.ascontiguousarray(image[:, :, :-1].mean(axis=2))
    known = (cv2.dilate(todo.view(np.uint8), np.ones((3, 3), np.uint8)) == 0).astype(np.float32)
    right, down = (cv2.Sobel(grey, cv2.CV_32F, 1 - axis, axis) * known / 8 for axis in (0, 1))
    unknown = cv2.GaussianBlur(todo.astype(np.float32), (0, 0), 2)
    inward = [cv2.Sobel(unknown, cv2.CV_32F, 1 - axis, axis) for axis in (0, 1)]
    length = np.maximum(np.hypot(*inward), 1e-6)
    across = np.abs(right * inward[1] - down * inward[0]) / length  # the edge's own direction along the way inward
    return np.asarray(cv2.dilate(across, np.ones((SIDE, SIDE), np.uint8)), np.float32)
