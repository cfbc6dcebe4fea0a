"""The pictures of a quality result for its page, the worst first."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_cli.benchmarks.quality_tables import short_title, text_of
from lgnet_cli.errors import FileError
from lgnet_cli.gallery.page import Case, Gallery
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8, to_rgb
from lgnet_cli.spec import HOLE

MAX_PICTURES = 60
"""Photos with their masks on one page; each with every method's result."""

HEADLINE = ("lpips", "st_lpips", "psnr_db", "ssim", "l1_percent")
"""Metrics by which a page may open, in this order of preference: what people see comes first."""

Key = tuple[str, str, str, float]  # method, image, bucket, mask ratio


def quality_gallery(result: dict[str, Any], folder: Path) -> tuple[Gallery, list[tuple[str, str]]]:
    """The gallery, and (file, why) of pictures that cannot be shown: broken, gone, or not below `folder`."""
    values = _values(result, folder)
    orders = {c: f"worst {short_title(c)} first" for c in _ranked(result, values)} | {"holes": "largest holes first"}
    gallery, lost = Gallery("original", orders), []
    ranked = sorted(result["pictures"], key=lambda p: -_worst(p, next(iter(orders)), values, result))
    for number, picture in enumerate(ranked):
        if number == MAX_PICTURES or gallery.album.full():
            gallery.left_out = len(ranked) - number
            break
        try:
            gallery.cases += _cases(number, picture, values, result, folder, gallery)
        except OSError as error:
            lost.append((picture["image"], f"{error.filename}: {error.strerror}"))
        except FileError as error:
            lost.append((picture["image"], str(error)))
    return gallery, lost


def _values(result: dict[str, Any], folder: Path) -> dict[Key, dict[str, float]]:
    """{picture and method: its metrics}, of the pictures alone: the images may be many."""
    wanted = {_key(method, picture) for picture in result["pictures"] for method in picture["results"]}
    found = {}
    for row in _images(result, folder):
        key = _key(row["method"], row)
        if key in wanted:
            found[key] = {c: float(row[c]) for c in result["columns"] if row.get(c) not in (None, "")}
    return found


def _images(result: dict[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """The row of every image: the result's own, or where it leaves them out, those of images.csv, one at a time."""
    if "images" in result:
        yield from result["images"]
    elif (folder / "images.csv").is_file():
        with (folder / "images.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield from csv.DictReader(file)


def _key(method: str, entry: dict[str, Any]) -> Key:
    return method, entry["image"], entry["bucket"], round(float(entry["mask_ratio"]), 6)


def _ranked(result: dict[str, Any], values: dict[Key, dict[str, float]]) -> list[str]:
    """The metrics that single images have, those of HEADLINE first."""
    there = [column for column in result["columns"] if any(column in found for found in values.values())]
    return [c for c in HEADLINE if c in there] + [c for c in there if c not in HEADLINE]


def _worst(picture: dict[str, Any], order: str, values: dict[Key, dict[str, float]], result: dict[str, Any]) -> float:
    """The rank of a picture: that of its worst result."""
    ranks = [_ranks(method, picture, values, result) for method in picture["results"]]
    return max((rank.get(order, float("-inf")) for rank in ranks), default=float("-inf"))


def _ranks(
    method: str, picture: dict[str, Any], values: dict[Key, dict[str, float]], result: dict[str, Any]
) -> dict[str, float]:
    found = values.get(_key(method, picture), {})
    ranks = {c: value if result["better"][c] == "lower" else -value for c, value in found.items()}
    return ranks | {"holes": picture["mask_ratio"]}


def _cases(
    number: int, picture: dict[str, Any], values: dict[Key, dict[str, float]], result: dict[str, Any], folder: Path,
    gallery: Gallery,
) -> list[Case]:  # fmt: skip
    original, holes = photo_below(folder, picture["original"]), hole_below(folder, picture["mask"])
    filled = {method: photo_below(folder, path) for method, path in picture["results"].items()}
    before, mask = f"{number}-original", f"{number}-mask"
    gallery.album.add_photo(before, original)
    gallery.album.add_holes(mask, holes)
    cases = []
    for index, (method, pixels) in enumerate(filled.items()):
        gallery.album.add_photo(f"{number}-{index}", pixels)
        shown = values.get(_key(method, picture), {})
        measured = [f"{short_title(c)} {text_of(c, shown[c])}" for c in HEADLINE if c in shown]
        facts = ", ".join([f"{100 * picture['mask_ratio']:.1f} % holes", *measured])
        ranks = _ranks(method, picture, values, result)
        size = (original.shape[1], original.shape[0])
        keys = (before, f"{number}-{index}", mask)
        cases.append(Case(picture["image"], picture["bucket"], method, size, *keys, facts, ranks))
    return cases


def photo_below(folder: Path, name: str) -> Bytes8:
    """(H, W, 3) RGB of a file that a result names. Raises FileError: broken, or not below `folder`; OSError: gone."""
    path = _inside(folder, name)
    picture = decode(path.read_bytes(), path)
    return to_rgb(picture.pixels, picture.kind)


def hole_below(folder: Path, name: str) -> Hole:
    """(H, W) bool of a mask that a result names. Raises as `photo_below`."""
    return np.asarray(photo_below(folder, name)[:, :, 0] > HOLE // 2)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileError(f"{name}: leads out of {folder}")
    return path
