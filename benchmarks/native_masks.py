"""Masks for whole photos at their own size: given, or made up of what people remove: an object, text, a scratch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lgnet_cli.benchmarks.samples import Photo, Sample, facts_of, same_name, stem_of
from lgnet_cli.errors import FileError
from lgnet_cli.imaging.masks import Hole, MaskOptions, read_mask
from lgnet_cli.imaging.picture import Bytes8, Picture
from lgnet_cli.imaging.strokes import fill_outline, outline

NATIVE = "native"
"""In place of a bucket: each photo has one mask, whatever its share."""

OBJECT = (0.2, 0.3)  # its longer side; these three are shares of the photo's shorter side
LETTERS = (0.025, 0.04)  # height of capitals
SCRATCH = (0.4, 0.8)  # length
SCRATCH_WIDTH = (0.0015, 0.003)
WIDEST = 0.6
"""Of the photo's width: a longer line of text is set smaller."""

GAP = 0.03
"""Of the photo's shorter side: what lies at least between two of the three, and between each and the edge."""

LEAST = 128
"""Pixels of a photo's shorter side: in smaller ones a scratch is no longer thin beside the object."""

TRIES = 100

WORDS = ("Summer", "Harbour", "Anna", "Lake", "July", "Archive", "Morning", "Photo", "Garden", "North", "No.", "Film")

Draw = Callable[[np.random.Generator, Bytes8], None]


class NativeMasks(Protocol):
    """Where masks come from."""

    @property
    def words(self) -> str:
        """They say so in the results."""
        ...

    def of(self, photo: Photo, picture: Picture) -> Sample:
        """The photo's mask, of its size. Raises FileError."""
        ...


@dataclass(frozen=True)
class Given:
    """A folder of masks with their photos' paths and names, one a photo, whatever the suffix."""

    folder: Path
    options: MaskOptions
    files: dict[str, Path] = field(repr=False)

    @property
    def words(self) -> str:
        return f"of the same name in {self.folder}"

    def of(self, photo: Photo, picture: Picture) -> Sample:
        """Raises FileError: the mask cannot be read, has another size, or no hole."""
        file = self.files[stem_of(photo)]
        hole = read_mask(file, picture, self.options)
        if not hole.any():
            raise FileError(f"{file}: has no hole")
        return Sample(photo, NATIVE, stem_of(photo), f"{facts_of(file)} {self.options}", None, hole)


def given(folder: Path, photos: list[Photo], options: MaskOptions) -> Given:
    """Raises UsageError when a photo has no mask of its name, or several."""
    return Given(folder, options, same_name(folder, photos, options).files)


@dataclass(frozen=True)
class MadeUpNative:
    """An object, a line of text and a scratch for every photo, apart from each other and off the edge."""

    seed: int

    @property
    def words(self) -> str:
        return f"made up: an object, a line of text and a scratch a photo, seed {self.seed}"

    def of(self, photo: Photo, picture: Picture) -> Sample:
        """Raises FileError: the photo is too small for them."""
        if min(picture.height, picture.width) < LEAST:
            raise FileError(
                f"{photo.file}: has under {LEAST} pixels on a side, too few for made-up masks", mend="give --masks DIR"
            )
        rng = np.random.default_rng([self.seed, photo.number])
        hole = object_text_scratch(rng, picture.height, picture.width)
        facts = f"made up, native, {self.seed} {photo.number}, OpenCV {cv2.__version__}"  # whose letters it has
        return Sample(photo, NATIVE, stem_of(photo), facts, self.seed, hole)


def object_text_scratch(rng: np.random.Generator, height: int, width: int) -> Hole:
    """One of each, (height, width) bool, sized in proportion to the shorter side, which has at least LEAST pixels."""
    hole = np.zeros((height, width), np.uint8)
    for draw in (draw_scratch, draw_text, draw_object):  # the longest first, while there is room
        hole |= _apart(rng, hole, draw)
    return hole.astype(bool)


def draw_object(rng: np.random.Generator, canvas: Bytes8) -> None:
    """Set one object-shaped blob to 1 anywhere in `canvas` (H, W)."""
    shape = outline(rng) * rng.uniform(*OBJECT) * min(canvas.shape)
    fill_outline(canvas, shape + _place(rng, canvas, shape.max(axis=0)))


def draw_text(rng: np.random.Generator, canvas: Bytes8) -> None:
    """Set one line of lettering to 1 anywhere in `canvas` (H, W): a little bolder than the letters, as masks are."""
    text = _caption(rng)
    high = rng.uniform(*LETTERS) * min(canvas.shape)
    font, weight = cv2.FONT_HERSHEY_SIMPLEX, int(rng.integers(1, 4))
    (wide, tall), _ = cv2.getTextSize(text, font, 10, weight)
    scale = 10 * min(high / tall, WIDEST * canvas.shape[1] / wide)
    (wide, tall), below = cv2.getTextSize(text, font, scale, weight)
    left, top = _place(rng, canvas, np.array([wide, tall + 2 * below]))
    letters = np.zeros_like(canvas)
    cv2.putText(letters, text, (round(left), round(top) + tall), font, scale, 255, weight, cv2.LINE_AA)
    bold = 2 * round(tall / 24) + 1
    canvas |= cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (bold, bold))) >= 128


def draw_scratch(rng: np.random.Generator, canvas: Bytes8) -> None:
    """Set one long thin line to 1 anywhere in `canvas` (H, W), nearly straight, of one width."""
    unit = min(canvas.shape)
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, 12))  # radians, of its pieces
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(*SCRATCH) * unit / len(turns)
    line = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    line -= line.min(axis=0)
    line += _place(rng, canvas, line.max(axis=0))
    width = max(1, round(rng.uniform(*SCRATCH_WIDTH) * unit))
    cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, 1, width)


def _caption(rng: np.random.Generator) -> str:
    words = rng.choice(WORDS, rng.integers(2, 4), replace=False).tolist()
    return " ".join([*words, str(rng.integers(1950, 2026))])


def _place(rng: np.random.Generator, canvas: Bytes8, size: np.ndarray) -> np.ndarray:
    """x and y of a box of (width, height) in the canvas, off its edge where there is room."""
    gap = GAP * min(canvas.shape)
    room = np.maximum(canvas.shape[::-1] - size - 2 * gap, 0)
    return np.asarray(gap + rng.uniform(0, 1, 2) * room)


def _apart(rng: np.random.Generator, taken: Bytes8, draw: Draw) -> Bytes8:
    """What `draw` draws, at least GAP away from what is taken."""
    free = cv2.distanceTransform(1 - taken, cv2.DIST_L2, 3) if taken.any() else np.full(taken.shape, np.inf, np.float32)
    for _ in range(TRIES):
        canvas = np.zeros_like(taken)
        draw(rng, canvas)
        if free[canvas > 0].min(initial=np.inf) > GAP * min(taken.shape):
            return canvas
    raise AssertionError("no room for an object, a line of text and a scratch")  # they take a tenth of the photo
