"""`text`: lettering laid over photos, such as date stamps, captions and subtitles.

PP-OCR's detector finds lines of text, from the wheel of `rapidocr`, without the network. What it misses: letters of
less than about 8 pixels, handwriting over texture, text in curves. It also finds the photo's own text, on signs and
shirts: `--within` and `--text-matching` keep that out.
"""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from lgnet_cli.errors import MissingBackend

from .letters import strokes
from .options import Window
from .protocol import Finding, Floats, Photo, Region

LONGEST_SIDE = 4096
"""Pixels at which larger photos are read: a date stamp of a twentieth of their height still has 100 of them."""

INSTALL = "install it with: pip install 'lgnet[find]'"


class Text:
    """Finds lines of text and takes the strokes of their letters."""

    def __init__(self, window: Window | None = None, matching: str | None = None, sensitivity: float = 1.0) -> None:
        """Load the detector, and with `matching` the recogniser.

        Args:
            window: where the middle of a line has to lie; anywhere if None.
            matching: a regular expression; a line is taken if it is found somewhere in its text.
            sensitivity: above 1, fainter text counts.

        Raises:
            MissingBackend: rapidocr is not installed, or its wheel lacks a model.
        """
        self._window = window
        self._pattern = re.compile(matching) if matching else None
        self._reader = _open_reader(read=matching is not None, threshold=min(0.95, 0.6 / sensitivity))
        self._lock = Lock()  # the reader keeps a photo's size between its steps

    def find(self, photo: Photo) -> Finding:
        top, left, bottom, right = self._window.on(photo.shape) if self._window else (0, 0, *photo.shape)
        hole = np.zeros(photo.shape, bool)
        regions = []
        for box, why in self._lines(photo.rgb):  # whole: the detector misses large letters in a narrow strip
            x, y = box.mean(axis=0)
            if not (left <= x < right and top <= y < bottom):
                continue
            hole |= strokes(photo.rgb, box)
            (x, y), (x2, y2) = np.floor(box.min(axis=0)), np.ceil(box.max(axis=0))
            regions.append(Region(max(0, int(x)), max(0, int(y)), int(x2), int(y2), why))
        return Finding(hole, regions)

    def _lines(self, rgb: np.ndarray) -> Iterator[tuple[Floats, str]]:
        """(box as corners (4, 2), why it was taken) of each line in a part of a photo, (H, W, 3) uint8 RGB."""
        if not rgb.size:
            return
        with self._lock:
            said = self._reader(np.ascontiguousarray(rgb[:, :, ::-1]))
        if said.boxes is None:
            return
        texts = said.txts if self._pattern else ("",) * len(said.boxes)
        for box, text, score in zip(said.boxes, texts, said.scores, strict=True):
            if self._pattern is None or self._pattern.search(text):
                yield np.asarray(box, np.float32), f"text {text!r} ({score:.2f})" if text else f"text ({score:.2f})"


def _open_reader(read: bool, threshold: float) -> Any:
    """rapidocr with the models of its wheel, named by path: without one it would ask the network."""
    package = importlib.util.find_spec("rapidocr")
    if package is None or package.origin is None:
        raise MissingBackend("--find text: rapidocr is not installed here", mend=INSTALL)
    folder = Path(package.origin).parent / "models"
    models = {"Det.model_path": "PP-OCRv6_det_small.onnx", "Rec.model_path": "PP-OCRv6_rec_small.onnx"}
    for name in models.values():
        if not (folder / name).is_file():
            raise MissingBackend(
                f"--find text: {folder / name} is missing", mend="pip install --force-reinstall rapidocr"
            )
    from rapidocr import RapidOCR

    options = {"Global.log_level": "error", "Global.use_cls": False, "Global.use_rec": read,
               "Global.max_side_len": LONGEST_SIDE, "Global.text_score": 0.0, "Det.box_thresh": threshold}  # fmt: skip
    return RapidOCR(params=options | {key: str(folder / name) for key, name in models.items()})
