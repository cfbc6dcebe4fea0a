"""The pictures of `--native`: the worst photos' windows, every pixel as it is, written as files and put on the page."""

from pathlib import Path
from typing import Any

import numpy as np

from lgnet_cli.benchmarks.gallery import plain_name, write_png
from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import Method, merged
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native_holes import Window
from lgnet_cli.benchmarks.native_masks import NativeMasks
from lgnet_cli.benchmarks.native_methods import PRODUCT
from lgnet_cli.benchmarks.quality_gallery import hole_below, photo_below
from lgnet_cli.benchmarks.samples import Photo, read_photo
from lgnet_cli.errors import FileError, LgnetError
from lgnet_cli.gallery.page import Case, Gallery
from lgnet_cli.imaging.masks import as_bytes
from lgnet_cli.imaging.picture import to_rgb
from lgnet_cli.imaging.strokes import bucket_of

FOLDER = "native-pictures"

Found = dict[str, Any]


def write_windows(
    job: QualityJob, photos: list[Photo], masks: NativeMasks, methods: list[Method], rows: list[Found], folder: Path
) -> list[Found]:
    """Fill the worst `job.pictures` photos again and write their windows as PNG below `folder`, worst photo first.

    Returns:
        What native.json lists as "pictures", an entry a window, paths relative to `folder`.
    """
    by_name = {photo.name: photo for photo in photos}
    listed = []
    for name in worst(rows, job.pictures):
        of_photo = {row["method"]: row for row in rows if row["image"] == name}
        listed += _write(by_name[name], masks, methods, of_photo, folder)
    return listed


def worst(rows: list[Found], count: int) -> list[str]:
    """The photos of the largest mean distance of PRODUCT's row, or if there is none, of the first method's."""
    names = [row["method"] for row in rows]
    method = PRODUCT if PRODUCT in names else names[0] if names else ""
    ranked = sorted((-row["st_lpips_windows"], row["image"]) for row in rows if row["method"] == method)
    return [name for _, name in ranked[:count]]


def _write(
    photo: Photo, masks: NativeMasks, methods: list[Method], of_photo: dict[str, Found], folder: Path
) -> list[Found]:
    picture = read_photo(photo)
    sample, original = masks.of(photo, picture), to_rgb(picture.pixels, picture.kind)
    place = Path(FOLDER, f"{photo.number:05}-{plain_name(photo.name)}")
    (folder / place).mkdir(parents=True, exist_ok=True)
    windows = [Window(*window) for window in next(iter(of_photo.values()))["windows"]]
    entries: list[Found] = []
    for number, window in enumerate(windows):
        entries.append({
            "image": photo.name, "window": list(window), "mask_ratio": float(sample.hole[window.part].mean()),
            "original": _png(folder, place / f"{number}-original.png", original[window.part]),
            "mask": write_png(folder, place / f"{number}-mask.png", as_bytes(sample.hole[window.part].copy())),
            "results": {}, "st_lpips": {},
        })  # fmt: skip
    for index, method in enumerate(methods):
        try:
            filled = merged(method, sample, original)
        except (LgnetError, OSError):  # it is among the failures already
            continue
        for number, (entry, window) in enumerate(zip(entries, windows, strict=True)):
            path = place / f"{number}-{index}-{plain_name(method.name)}.png"
            entry["results"][method.name] = _png(folder, path, filled[window.part])
            if method.name in of_photo:
                entry["st_lpips"][method.name] = of_photo[method.name]["of_windows"][number]
    return entries


def _png(folder: Path, path: Path, rgb: Image) -> str:
    return write_png(folder, path, np.ascontiguousarray(rgb[:, :, ::-1]))


def native_gallery(result: Found, folder: Path) -> tuple[Gallery, list[tuple[str, str]]]:
    """The gallery, and (file, why) of pictures that cannot be shown: broken, gone, or not below `folder`."""
    gallery = Gallery("original", {"st_lpips": "worst ST-LPIPS first", "holes": "largest holes first"})
    lost = []
    for number, entry in enumerate(result["pictures"]):
        if gallery.album.full():
            gallery.left_out = len(result["pictures"]) - number
            break
        try:
            gallery.cases += _cases(number, entry, folder, gallery)
        except OSError as error:
            lost.append((entry["image"], f"{error.filename}: {error.strerror}"))
        except FileError as error:
            lost.append((entry["image"], str(error)))
    return gallery, lost


def _cases(number: int, entry: Found, folder: Path, gallery: Gallery) -> list[Case]:
    original, hole = photo_below(folder, entry["original"]), hole_below(folder, entry["mask"])
    filled = {method: photo_below(folder, path) for method, path in entry["results"].items()}
    before, mask = f"{number}-original", f"{number}-mask"
    gallery.album.add_photo(before, original)
    gallery.album.add_holes(mask, hole)
    left, top, width, height = entry["window"]
    where = f"{width} x {height} pixels at {left}, {top}, {100 * entry['mask_ratio']:.1f} % holes"
    cases = []
    for index, (method, pixels) in enumerate(filled.items()):
        gallery.album.add_photo(f"{number}-{index}", pixels)
        distance = entry["st_lpips"].get(method)
        facts = f"{where}, ST-LPIPS {distance:.4f}" if distance is not None else where
        ranks = {"holes": entry["mask_ratio"]} | ({"st_lpips": distance} if distance is not None else {})
        keys = (before, f"{number}-{index}", mask)
        bucket = _range(entry["mask_ratio"])
        cases.append(Case(entry["image"], bucket, method, (width, height), *keys, facts, ranks))
    return cases


def _range(share: float) -> str:
    """The percents that the page's filter lists a window under: a bucket, or what lies below or above all."""
    return bucket_of(share) or ("0-1" if share < 0.5 else "60-100")
