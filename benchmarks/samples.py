"""What is evaluated: photos made square, each with its masks; and into which bucket a mask falls."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.errors import FileError, NothingToDo, UsageError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.folders import files_below
from lgnet_cli.imaging.formats import SUFFIXES
from lgnet_cli.imaging.masks import Hole, MaskOptions, read_mask
from lgnet_cli.imaging.picture import Picture, to_rgb
from lgnet_cli.imaging.strokes import BUCKETS, LABELS, bucket_of, random_hole

"""1-10, 10-20 ... 50-60: percent of the pixels that are holes, (lo, hi]."""


@dataclass(frozen=True)
class Photo:
    """One image file and its place in the run."""

    file: Path
    name: str  # path below IMAGES, as in every table and file of results
    number: int  # in sorted order, from 0

    @property
    def facts(self) -> str:
        return facts_of(self.file)


@dataclass(frozen=True)
class Sample:
    """A photo under one mask."""

    photo: Photo
    bucket: str  # of LABELS
    place: str  # below a folder of inputs or results, without a suffix: BUCKET/STEM, or STEM where names pair
    facts: str  # changes when the mask does
    seed: int | None  # of a mask that was made up
    hole: Hole = field(repr=False)  # (size, size)

    @property
    def ratio(self) -> float:
        """Share of the pixels that are holes, 0 to 1."""
        return float(self.hole.mean())


class Masks(Protocol):
    """Where masks come from."""

    @property
    def words(self) -> str:
        """They say so in the results."""
        ...

    def of(self, photo: Photo, picture: Picture, size: int) -> Iterator[Sample]:
        """The photo's samples. Masks outside of every bucket give none. Raises FileError."""
        ...


def find_photos(folder: Path, limit: int | None = None) -> list[Photo]:
    """Every image below `folder`, sorted; at most `limit`. Raises UsageError (no folder), NothingToDo (no image)."""
    files = [file for file in walk(folder) if file.suffix.lower() in SUFFIXES][:limit]
    if not files:
        raise NothingToDo(f"{folder}: no image there", mend=f"lgnet reads {' '.join(SUFFIXES)}")
    return [Photo(file, file.relative_to(folder).as_posix(), number) for number, file in enumerate(files)]


def read_photo(photo: Photo) -> Picture:
    """Raises FileError."""
    try:
        return decode(photo.file.read_bytes(), photo.file)
    except OSError as error:
        raise FileError(f"{photo.file}: {error.strerror}") from error


def square(picture: Picture, size: int) -> Image:
    """The centre square of a picture at (size, size, 3): made small by area, made large by bicubic interpolation."""
    pixels = _centre(to_rgb(picture.pixels, picture.kind))
    how = cv2.INTER_AREA if len(pixels) > size else cv2.INTER_CUBIC
    return np.ascontiguousarray(pixels if len(pixels) == size else cv2.resize(pixels, (size, size), interpolation=how))


def square_hole(hole: Hole, size: int) -> Hole:
    """The centre square of a mask at (size, size), by nearest neighbour."""
    pixels = np.ascontiguousarray(_centre(hole)).astype(np.uint8)
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


@dataclass(frozen=True)
class MadeUp:
    """A mask of its own for every photo and bucket, drawn at the size evaluated."""

    seed: int

    @property
    def words(self) -> str:
        return f"made up: strokes and rectangles, or blobs, seed {self.seed}, one a photo and bucket"

    def of(self, photo: Photo, picture: Picture, size: int) -> Iterator[Sample]:
        for number, (label, shares) in enumerate(zip(LABELS, BUCKETS, strict=True)):
            hole = random_hole(np.random.default_rng([self.seed, photo.number, number]), size, shares)
            facts = f"made up, blobs too, {self.seed} {photo.number} {number}"
            yield Sample(photo, label, f"{label}/{stem_of(photo)}", facts, self.seed, hole)


@dataclass(frozen=True)
class SameName:
    """A folder of masks with their photos' paths and names, one a photo, whatever the suffix."""

    folder: Path
    options: MaskOptions
    files: dict[str, Path] = field(repr=False)

    @property
    def words(self) -> str:
        return f"of the same name in {self.folder}"

    def of(self, photo: Photo, picture: Picture, size: int) -> Iterator[Sample]:
        file = self.files[stem_of(photo)]
        hole = square_hole(read_mask(file, picture, self.options), size)
        label = bucket_of(float(hole.mean()))
        if label:
            yield Sample(photo, label, stem_of(photo), f"{facts_of(file)} {self.options}", None, hole)


@dataclass(frozen=True)
class EachBucket:
    """A folder of masks of any name: photo n gets the mask n of every bucket, from the first again after the last."""

    folder: Path
    options: MaskOptions
    files: dict[str, list[Path]] = field(repr=False)  # of each bucket

    @property
    def words(self) -> str:
        return f"of {self.folder}, one of each bucket a photo, in their order"

    def of(self, photo: Photo, picture: Picture, size: int) -> Iterator[Sample]:
        for label, files in self.files.items():
            if files:
                file = files[photo.number % len(files)]
                facts, hole = f"{facts_of(file)} {self.options}", _lone_mask(file, size, self.options)
                yield Sample(photo, label, f"{label}/{stem_of(photo)}", facts, None, hole)


def same_name(folder: Path, photos: list[Photo], options: MaskOptions) -> SameName:
    """Raises UsageError when a photo has no mask of its name, or several."""
    files = by_stem(folder)
    for photo in photos:
        found = files.get(stem_of(photo), [])
        if len(found) != 1:
            what = "no mask of its name" if not found else f"several masks of its name: {', '.join(map(str, found))}"
            raise UsageError(
                f"{photo.file}: {what} in {folder}",
                mend="for masks of other names, one of each bucket a photo: --each-bucket",
            )
    return SameName(folder, options, {stem: found[0] for stem, found in files.items()})


def each_bucket(folder: Path, size: int, options: MaskOptions, workers: int) -> EachBucket:
    """Measure every mask of `folder` at `size`. Raises FileError, NothingToDo (no mask is in any bucket)."""
    files = [file for file in walk(folder) if file.suffix.lower() in SUFFIXES]
    found: dict[str, list[Path]] = {label: [] for label in LABELS}
    with ThreadPoolExecutor(workers) as pool:
        shares = pool.map(lambda file: float(_lone_mask(file, size, options).mean()), files)
        for file, share in zip(files, shares, strict=True):
            label = bucket_of(share)
            if label:
                found[label].append(file)
    if not any(found.values()):
        raise NothingToDo(f"{folder}: no mask whose holes are 1 to 60 % of its pixels")
    return EachBucket(folder, options, found)


def by_stem(folder: Path) -> dict[str, list[Path]]:
    """{path below `folder` without its suffix: the images of that name}."""
    found: dict[str, list[Path]] = {}
    for file in walk(folder):
        if file.suffix.lower() in SUFFIXES:
            found.setdefault(file.relative_to(folder).with_suffix("").as_posix(), []).append(file)
    return found


def walk(folder: Path) -> list[Path]:
    """As `files_below`. Raises UsageError (no folder), FileError (a locked one)."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    return files_below(folder)


def _lone_mask(file: Path, size: int, options: MaskOptions) -> Hole:
    mask = decode(file.read_bytes(), file)
    return square_hole(read_mask(file, mask, options), size)


def _centre(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def stem_of(photo: Photo) -> str:
    """Its path below the folder of photos, without the suffix: by this name masks and results are found."""
    return str(Path(photo.name).with_suffix("").as_posix())


def facts_of(file: Path) -> str:
    """Its path, size and time: they change when the file does."""
    stat = file.stat()
    return f"{file} {stat.st_size} {stat.st_mtime_ns}"
