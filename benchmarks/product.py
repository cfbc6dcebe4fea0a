"""What a user of the package gets, as a method: the same call that `lgnet_cli.Session` documents, whatever the size."""

import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lgnet_cli.benchmarks.methods import weights_of
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.samples import Sample
from lgnet_cli.engines.protocol import EngineInfo
from lgnet_cli.engines.select import choose
from lgnet_cli.refine import Refine
from lgnet_cli.session import Session


class Fills(Protocol):
    """What is asked of a session."""

    @property
    def info(self) -> EngineInfo: ...

    def inpaint(self, image: NDArray[Any], mask: NDArray[Any], *, refine: Refine) -> NDArray[Any]:
        """As `lgnet_cli.Session.inpaint`."""
        ...


class Product:
    """A session that refines in one way."""

    def __init__(self, name: str, session: Fills, refine: Refine, file: Path | None = None) -> None:
        """`file` is the engine's own, if it has one."""
        self.name = name
        info = session.info
        self.source = (
            f"{info.backend}, {info.precision}, {weights_of(info, file)}, lgnet {version('lgnet')}, {_SAID[refine]}"
        )
        self._session, self._refine, self._lock = session, refine, threading.Lock()  # one call at a time

    def fill(self, sample: Sample, image: Image) -> Image:
        with self._lock:
            return np.asarray(self._session.inpaint(image, sample.hole, refine=self._refine), np.uint8)

    def facts(self, sample: Sample) -> str:
        return ""


_SAID: dict[Refine, str] = {
    "texture": "as lgnet inpaint fills by default",
    "tone": "as lgnet inpaint --refine tone",
    "none": "as lgnet inpaint --refine none",
}


def products(backends: Sequence[str], weights: Path | None, engine: Path | None) -> list[Product]:
    """What users get on each back end: `lgnet` where there is one, `lgnet (BACKEND)` where there are several."""
    made = []
    for backend in backends:
        name = "lgnet" if len(backends) == 1 else f"lgnet ({choose(backend).name})"
        made.append(Product(name, Session(weights, backend=backend, engine=engine), "texture", engine))
    return made
