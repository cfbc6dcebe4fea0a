"""What measures a whole photo: every figure of `--native`, of one photo filled by one method."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native_holes import Parts, Window, split, windows_of
from lgnet_cli.benchmarks.native_metrics import Rim, fine_band_share, psnr_in, rim_of, rim_step
from lgnet_cli.benchmarks.samples import Sample
from lgnet_cli.errors import FileError
from lgnet_cli.perceptual.networks import Lpips, st_lpips

LEAST = 32
"""Pixels of a photo's shorter side: ST-LPIPS' network looks at nothing smaller."""


class Distance(Protocol):
    """A perceptual distance of pictures (H, W, 3) uint8 RGB of one size."""

    def know(self, original: Image) -> Any:
        """What is computed once of an original."""
        ...

    def of(self, filled: Image, known: Any) -> float:
        """The distance of a picture from the original that `known` is of."""
        ...


class StLpips:
    """Shift-tolerant LPIPS on AlexNet (Ghildyal and Liu 2022)."""

    def __init__(self, folder: Path | None) -> None:
        """Look for the weights in `folder` first. Raises MissingWeights, ModelError."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._judge: Lpips = st_lpips(folder).to(self._device)

    @torch.inference_mode()
    def know(self, original: Image) -> list[Tensor]:
        picture = torch.from_numpy(np.ascontiguousarray(original)).to(self._device)
        features: list[Tensor] = self._judge.network(picture.permute(2, 0, 1)[None] / 127.5 - 1)
        return features

    @torch.inference_mode()
    def of(self, filled: Image, known: list[Tensor]) -> float:
        return float(self._judge.compare(known, self.know(filled))[0])


@dataclass(frozen=True)
class Subject:
    """A photo under its mask, and what is computed of it once for all methods."""

    sample: Sample
    original: Image = field(repr=False)
    parts: Parts
    windows: list[Window]
    rim: Rim
    known: list[Any] = field(repr=False)  # what the distance knows of each window


def subject_of(sample: Sample, original: Image, distance: Distance) -> Subject:
    """Look at a photo (H, W, 3) uint8 RGB and its holes. Raises FileError: it is smaller than LEAST."""
    if min(original.shape[:2]) < LEAST:
        raise FileError(f"{sample.photo.file}: has under {LEAST} pixels on a side, too few for ST-LPIPS")
    parts = split(sample.hole)
    windows = windows_of(sample.hole, parts.large)
    known = [distance.know(original[window.part]) for window in windows]
    return Subject(sample, original, parts, windows, rim_of(sample.hole, parts.thin), known)


def measure(subject: Subject, filled: Image, distance: Distance) -> dict[str, Any]:
    """The columns of a row, None where the photo has nothing to measure; and each window's distance."""
    original, parts = subject.original, subject.parts
    apart = [distance.of(filled[w.part], known) for w, known in zip(subject.windows, subject.known, strict=True)]
    return {
        "st_lpips_large": apart[0] if parts.large.any() else None,
        "st_lpips_windows": float(np.mean(apart)),
        "fine_band": fine_band_share(filled, original, parts.large) if parts.large.any() else None,
        "rim_step": rim_step(filled, subject.rim),
        "psnr_thin_db": psnr_in(filled, original, parts.thin),
        "psnr_large_db": psnr_in(filled, original, parts.large),
        "of_windows": apart,
    }
