"""What fills whole photos at their own size: the product in its three ways, and those that `--against` names."""

from dataclasses import replace

import numpy as np

from lgnet_cli.benchmarks.job import QualityJob
from lgnet_cli.benchmarks.methods import ALONE, Method, PatchMatch, against, checked
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.native_holes import window_on
from lgnet_cli.benchmarks.onnx_method import split
from lgnet_cli.benchmarks.product import Product
from lgnet_cli.benchmarks.samples import Sample
from lgnet_cli.errors import UsageError
from lgnet_cli.imaging.crops import Crop, owned
from lgnet_cli.imaging.groups import groups
from lgnet_cli.session import Session

PRODUCT = "lgnet, texture"
"""The row of what `lgnet inpaint` makes by default; its worst photos are kept."""

SIDE = 1024
"""Pixels: PatchMatch looks for patches all over what it is given, so that whole photos take minutes."""

MARGIN = 128
"""Pixels of surroundings that it has at least, around a group of holes that nearly fills such a window."""


class PatchMatchInWindows:
    """PatchMatch, a window at a time."""

    def __init__(self, inner: Method) -> None:
        self.name = inner.name
        self.source = (
            f"{inner.source}; each group of holes in a window of {SIDE} x {SIDE} pixels ({SIDE**2 / 1e6:.2f} MP), "
            f"or where the holes are larger, in one with {MARGIN} pixels around them"
        )
        self._inner = inner

    def fill(self, sample: Sample, image: Image) -> Image:
        filled = image.copy()
        for left, top, right, bottom in groups(sample.hole, MARGIN, SIDE).tolist():
            width, height = right - left, bottom - top
            side = max(SIDE, max(width, height) + 2 * MARGIN)
            window = window_on((left, top, width, height), sample.hole.shape, side)
            inside = replace(sample, hole=np.ascontiguousarray(sample.hole[window.part]))
            mine = owned(sample.hole, Crop(*window, (window.width, window.height), (left, top, right, bottom)))
            filled[window.part][mine] = self._inner.fill(inside, np.ascontiguousarray(image[window.part]))[mine]
        return filled

    def facts(self, sample: Sample) -> str:
        return self._inner.facts(sample)


class Themselves:
    """The photos as they are, measured as the results are: what each figure is where nothing is wrong."""

    name = "the photos themselves"
    source = "nothing was filled"

    def fill(self, sample: Sample, image: Image) -> Image:
        return image

    def facts(self, sample: Sample) -> str:
        return ""


def native_methods(job: QualityJob) -> list[Method]:
    """The product's three rows on one session, and the others.

    Raises:
        UsageError: no such method, several rows of one name, or several back ends.
        MissingBackend: a named package is not installed.
        ModelError: the model is broken or missing.
    """
    if job.weights and job.engine:
        raise UsageError("--weights and --engine exclude each other", mend="an engine carries its weights")
    if len(job.backends) > 1:
        raise UsageError("--native takes one --backend: they give the same picture to within 1 of 255")
    others = [_in_windows(method) for method in against(_without_graphs(job.against), job.seed, None)]
    session = Session(job.weights, backend=job.backends[0], engine=job.engine)
    own: list[Method] = [
        Product(ALONE, session, "none", job.engine),
        Product("lgnet, tone", session, "tone", job.engine),
        Product(PRODUCT, session, "texture", job.engine),
    ]
    return checked([*own, *others])


def _in_windows(method: Method) -> Method:
    return PatchMatchInWindows(method) if isinstance(method, PatchMatch) else method


def _without_graphs(words: tuple[str, ...]) -> list[str]:
    """Raises UsageError for an ONNX file: how large photos are cut for it is its own program's business."""
    for word in words:
        name, _, target = word.partition("=")
        if target and split(target)[0]:
            raise UsageError(
                f"--against {word}: --native runs no ONNX file",
                mend=f"let its own program fill what --write-inputs writes, then --against {name}=FOLDER",
            )
    return list(words)
