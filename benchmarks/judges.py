"""What measures a picture: the pixel metrics, and the networks whose weight files are here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_cli.benchmarks.columns import PIXEL, SETS
from lgnet_cli.benchmarks.features import Features, open_features
from lgnet_cli.benchmarks.metrics import Image, pixel_metrics
from lgnet_cli.errors import MissingWeights
from lgnet_cli.imaging.masks import Hole
from lgnet_cli.perceptual.files import ALEXNET, INCEPTION, WeightFile
from lgnet_cli.perceptual.lpips import lpips_alex, lpips_vgg
from lgnet_cli.perceptual.networks import Lpips, st_lpips


@dataclass(frozen=True)
class Known:
    """A photo, and what the networks see in it: computed once for all its masks and methods."""

    pixels: Image
    features: dict[str, list[Tensor]]
    sha256: str  # of the pixels, under which FID's features are kept; "" without them


class Judges:
    """Every metric that can be had here. Safe to call from several threads."""

    def __init__(
        self,
        folder: Path | None,
        *,
        vgg: bool,
        cache: Path,
        perceptual: bool = True,
        alexnet: WeightFile = ALEXNET,
        inception: WeightFile = INCEPTION,
    ) -> None:
        """Look for the weight files.

        Args:
            folder: where they are looked for first.
            vgg: also LPIPS on VGG16.
            cache: folder for FID's features.
            perceptual: run LPIPS and ST-LPIPS, which take most of the time.
            alexnet: of LPIPS.
            inception: of FID.

        Raises:
            ModelError: a weight file is here and is not the published one.
        """
        self.missing: dict[str, str] = {}  # column: how to get what it needs
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        makers: dict[str, Callable[[Path | None], Lpips]] = {
            "lpips": lambda folder: lpips_alex(folder, network=alexnet),
            "st_lpips": st_lpips,
        }
        makers |= {"lpips_vgg": lpips_vgg} if vgg else {}
        self._networks: dict[str, Lpips] = {}
        for column, make in makers.items() if perceptual else ():
            try:
                self._networks[column] = make(folder).to(self._device)
            except MissingWeights as error:
                self.missing[column] = "; ".join(map(str.strip, str(error).splitlines()))
        self.features: Features | None = None
        try:
            self.features = open_features(folder, cache, self._device, file=inception)
        except MissingWeights as error:
            self.missing |= dict.fromkeys(SETS, "; ".join(map(str.strip, str(error).splitlines())))

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of one picture, in no order."""
        return (*PIXEL, *self._networks)

    @torch.inference_mode()
    def know(self, pixels: Image) -> Known:
        """(H, W, 3) uint8 RGB."""
        picture = _tensor([pixels], self._device)
        features = {column: judge.network(picture) for column, judge in self._networks.items()}
        return Known(pixels, features, self.features.keep(pixels) if self.features else "")

    @torch.inference_mode()
    def measure(self, known: Known, results: list[Image], hole: Hole) -> list[dict[str, float | str]]:
        """Each result's columns, and as "sha256" where FID's features of it are kept."""
        rows: list[dict[str, float | str]] = [{**pixel_metrics(result, known.pixels, hole)} for result in results]
        pictures = _tensor(results, self._device)
        for column, judge in self._networks.items():
            for row, value in zip(rows, judge.compare(known.features[column], judge.network(pictures)), strict=True):
                row[column] = float(value)
        for row, result in zip(rows, results, strict=True):
            row["sha256"] = self.features.keep(result) if self.features else ""
        return rows


def _tensor(pictures: list[Image], device: torch.device) -> Tensor:
    """(N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2) / 127.5 - 1
