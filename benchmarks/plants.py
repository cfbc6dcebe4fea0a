"""Faults of known place, planted into photos by seed: text, stamps, dust and scratches."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lgnet_cli.imaging.masks import Hole
from lgnet_cli.imaging.picture import Bytes8

Alpha = np.ndarray
"""(H, W) float, 0 to 1: how much of the photo a fault hides."""

VISIBLE = 0.25
"""From this share on, a pixel that a fault hides counts as a hole; less is the soft rim of antialiasing."""

WORDS = (
    "12. 6. 1998",
    "2004-07-19",
    "'96 8 14",
    "03/21/2011 14:05",
    "HOLIDAY 1987",
    "Summer in the hills",
    "COPY",
    "No. 4711",
)


class Planted(NamedTuple):
    """A photo with faults, and where they are."""

    rgb: Bytes8  # (H, W, 3) uint8
    hole: Hole  # (H, W) bool


def plant(rgb: Bytes8, alpha: Alpha, colour: tuple[int, int, int]) -> Planted:
    """Lay one colour over a photo."""
    mixed = rgb * (1 - alpha[:, :, None]) + np.array(colour) * alpha[:, :, None]
    return Planted(np.rint(mixed).astype(np.uint8), alpha >= VISIBLE)


def plant_text(rgb: Bytes8, rng: np.random.Generator) -> Planted:
    """One to three lines of 4 to 9 % of the photo's height, each in a colour that stands out where it lies."""
    hole = np.zeros(rgb.shape[:2], bool)
    for _ in range(rng.integers(1, 4)):
        height = max(12, round(rgb.shape[0] * rng.uniform(0.04, 0.09)))
        alpha = lettering(rgb.shape[:2], str(rng.choice(WORDS)), height, rng)
        if not (hole & (alpha > 0)).any():
            rgb, more = plant(rgb, alpha, _standing_out(rgb[alpha > 0.5], rng))
            hole |= more
    return Planted(rgb, hole)


def lettering(shape: tuple[int, int], words: str, height: int, rng: np.random.Generator) -> Alpha:
    """A line of text somewhere in a picture of (height, width)."""
    canvas = Image.new("L", shape[::-1])
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=height)
    _, _, right, bottom = draw.textbbox((0, 0), words, font=font)
    x, y = (rng.integers(2, max(3, int(room))) for room in (shape[1] - right - 2, shape[0] - bottom - 2))
    draw.text((int(x), int(y)), words, fill=255, font=font)
    return np.asarray(canvas, np.float64) / 255


def _standing_out(below: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int]:
    """Of the colours that people choose for lettering, one far from all that it will lie on."""
    colours = np.array([(255, 255, 255), (255, 140, 20), (255, 230, 60), (10, 10, 10), (220, 30, 30), (40, 60, 200)])
    distances = [np.percentile(np.abs(below - colour).max(axis=1), 10) if len(below) else 255 for colour in colours]
    good = np.flatnonzero(np.array(distances) >= min(80, max(distances)))
    r, g, b = colours[rng.choice(good)].tolist()
    return r, g, b


def plant_stamp(rgb: Bytes8, rng: np.random.Generator) -> Planted:
    """What a folder's photos have in common: a logo, a frame for a date, and dirt on the sensor.

    The same generator state and size give the same stamp.
    """
    shape = rgb.shape[:2]
    unit = min(shape) / 320
    logo = np.zeros(shape, np.uint8)
    at = (round(shape[1] * 0.82), round(shape[0] * 0.15))
    cv2.circle(logo, at, round(22 * unit), 255, max(2, round(4 * unit)), cv2.LINE_AA)
    where, thick = (at[0] - round(14 * unit), at[1] + round(7 * unit)), max(1, round(2 * unit))
    cv2.putText(logo, "LG", where, cv2.FONT_HERSHEY_DUPLEX, 0.7 * unit, 255, thick, cv2.LINE_AA)
    corner = (round(shape[1] * 0.06), round(shape[0] * 0.85))
    frame = np.zeros(shape, np.uint8)
    cv2.rectangle(
        frame, corner, (corner[0] + round(90 * unit), corner[1] + round(24 * unit)), 255, max(2, round(2 * unit))
    )
    strength = rng.uniform(0.7, 1)
    rgb, first = plant(rgb, logo / 255 * strength, (255, 255, 255))
    rgb, second = plant(rgb, frame / 255, (255, 140, 20))
    dirt = np.zeros(shape)
    for _ in range(3):
        x, y, radius = rng.uniform(0.1, 0.9) * shape[1], rng.uniform(0.3, 0.7) * shape[0], rng.uniform(3, 6) * unit
        ys, xs = np.ogrid[: shape[0], : shape[1]]
        dirt = np.maximum(dirt, 0.3 - 0.3 * np.tanh((np.hypot(xs - x, ys - y) - radius) / (1.2 * unit)))
    rgb, third = plant(rgb, dirt, (20, 18, 16))
    return Planted(rgb, first | second | third)


def plant_dust(rgb: Bytes8, rng: np.random.Generator) -> Planted:
    """Ten specks for every 10,000 pixels of 400 x 300, white or black for the whole photo, and a few hairs."""
    fine = 8  # bits of subpixels in OpenCV's drawing
    height, width = rgb.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    for _ in range(max(20, round(drawn.size / 4000))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 9)))
        radii = rng.uniform(0.7, 1.3, len(angles)) * rng.uniform(0.9, 3.5)
        points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], 1)
        cv2.fillPoly(drawn, [np.rint(points * 2**fine).astype(np.int32)], 255, cv2.LINE_AA, fine)
    for _ in range(3):
        start = rng.uniform(0, 1, 2) * (width, height)
        turns = np.cumsum(rng.normal(0, 0.35, 14)) + rng.uniform(0, 2 * np.pi)
        line = start + 2.2 * np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1), axis=0)
        cv2.polylines(drawn, [np.rint(line * 2**fine).astype(np.int32)], False, 255, 1, cv2.LINE_AA, fine)
    alpha = cv2.GaussianBlur(drawn / 255, (0, 0), 0.5)
    return plant(rgb, alpha * rng.uniform(0.85, 1), (250, 250, 250) if rng.random() < 0.7 else (8, 8, 8))


def plant_scratches(rgb: Bytes8, rng: np.random.Generator) -> Planted:
    """Two to four thin lines, most along the film's way, of 40 to 100 % of the photo's height, slightly bent."""
    height, width = rgb.shape[:2]
    drawn = np.zeros((height, width))
    for _ in range(rng.integers(2, 5)):
        lean = rng.normal(0, 0.02) if rng.random() < 0.7 else rng.uniform(-1, 1)
        length, bend = height * rng.uniform(0.4, 1), rng.normal(0, 0.01)
        along = np.linspace(0, 1, 40)
        x = rng.uniform(0.05, 0.95) * width + length * (lean * along + bend * np.sin(np.pi * along))
        y = rng.uniform(0, max(1, height - length)) + length * along
        line = np.zeros(drawn.shape, np.uint8)
        points = np.rint(np.stack([x, y], 1) * 256).astype(np.int32)
        cv2.polylines(line, [points], False, 255, int(rng.integers(1, 3)), cv2.LINE_AA, 8)
        drawn = np.maximum(drawn, line / 255 * rng.uniform(0.5, 0.95))
    return plant(rgb, drawn, (245, 245, 240) if rng.random() < 0.7 else (12, 12, 12))


PLANTS: dict[str, Callable[[Bytes8, np.random.Generator], Planted]] = {
    "text": plant_text, "constant": plant_stamp, "dust": plant_dust, "scratches": plant_scratches,
}  # fmt: skip
