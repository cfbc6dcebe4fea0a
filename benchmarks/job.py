"""What a quality run is asked for."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from lgnet_cli.imaging.masks import MaskOptions


@dataclass(frozen=True)
class QualityJob:
    """What to measure; see the options of `lgnet bench quality`."""

    images: Path
    out: Path | None = None  # None keeps nothing on disk
    masks: Path | None = None  # None makes them up
    each_bucket: bool = False  # masks of any name: every photo gets one of each bucket
    mask_options: MaskOptions = field(default_factory=MaskOptions)  # how mask files are read
    weights: Path | None = None
    engine: Path | None = None
    backends: tuple[str, ...] = ("auto",)
    against: tuple[str, ...] = ()
    reference: str | None = None  # celebahq or places2
    size: int = 256  # pixels, the side at which all is evaluated; not of whole photos
    seed: int = 0  # of made-up masks, PatchMatch and the bootstrap
    limit: int | None = None  # photos
    weights_dir: Path | None = None  # where the metrics' weight files are looked for first
    lpips_vgg: bool = False
    paper_compat: bool = False  # the network alone, truncated to 8 bits as upstream does
    resume: bool = False
    overwrite: bool = False
    workers: int | None = None  # threads; one a CPU if None
    pictures: int = 4  # kept a bucket; photos, where whole ones are measured
    quiet: bool = False  # no progress
    command: tuple[str, ...] = ()  # as typed

    @property
    def threads(self) -> int:
        """Workers, each on a photo of its own."""
        return self.workers or len(os.sched_getaffinity(0))
