"""What fills the holes in a quality run: this model, classical methods, and other systems' folders of results."""

import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.benchmarks.samples import Sample, by_stem
from lgnet_cli.engines.protocol import Engine, EngineInfo
from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.errors import FileError, MissingBackend, UsageError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.masks import as_bytes
from lgnet_cli.imaging.picture import to_rgb
from lgnet_cli.spec import SIZE_MULTIPLE
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256

RADIUS = 3
"""Pixels around a hole pixel that OpenCV's methods look at: what its own examples use."""

PATCH = 3
"""Radius of the patches that PatchMatch compares, in pixels: what its package's examples use."""

ALONE = "lgnet, network alone"
"""The row that the paper's rows can be held against: `lgnet` refines what the network draws."""

ANY_SIZE = f"multiples of {SIZE_MULTIPLE}"
"""As an engine's info says it."""


class Method(Protocol):
    @property
    def name(self) -> str:
        """Of the row."""
        ...

    @property
    def source(self) -> str:
        """What it is, in a line; a change of it means other results."""
        ...

    def fill(self, sample: Sample, image: Image) -> Image:
        """Fill `image` (H, W, 3) uint8 RGB where `sample.hole` is; safe to call from several threads.

        Returns a new array of its shape. Raises FileError when this picture cannot be filled.
        """
        ...

    def facts(self, sample: Sample) -> str:
        """What else its result depends on for this sample: a file's time, say."""
        ...


class ThisModel:
    """An engine of this package, and nothing after it: the network as the paper has it."""

    def __init__(self, name: str, engine: Engine, size: int, file: Path | None = None) -> None:
        """`file` is the engine's own, if it has one. Raises UsageError when the engine does not run at (size, size)."""
        _check_size(engine.info.sizes, size)
        self.name = name
        self.source = f"{engine.info.backend}, {engine.info.precision}, {weights_of(engine.info, file)}"
        self._engine, self._lock = engine, threading.Lock()  # an engine promises one call at a time

    def fill(self, sample: Sample, image: Image) -> Image:
        with self._lock:
            return np.asarray(self._engine.fill(image[None], as_bytes(sample.hole)[None])[0], np.uint8)

    def facts(self, sample: Sample) -> str:
        return ""


class Truncating:
    """The network with upstream's way to 8 bits: the whole merged picture truncated, known pixels too.

    A known value v passes through float32 as v / 127.5 - 1 and back, and may come out as v - 1.
    """

    def __init__(self, weights: Path | None, size: int) -> None:
        """Raises ModelError, and UsageError when the network does not run at (size, size)."""
        from lgnet_cli.model import load

        _check_size(ANY_SIZE, size)

        file = weights or DEFAULT_WEIGHTS
        self.name = ALONE
        self.source = f"torch, fp32, truncated to 8 bits as upstream does, weights {sha256(file)[:12]}"
        self._network = load(file).eval()

    def fill(self, sample: Sample, image: Image) -> Image:
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
            merged = self._network(pixels, torch.from_numpy(sample.hole)[None, None].float()).merged
            drawn = (merged[0].permute(1, 2, 0) + 1) / 2 * 255
        return np.asarray(drawn.numpy().astype(np.uint8))

    def facts(self, sample: Sample) -> str:
        return ""


@dataclass(frozen=True)
class Classical:
    """One of OpenCV's two methods."""

    name: str
    flag: int

    @property
    def source(self) -> str:
        return f"OpenCV {cv2.__version__}, radius {RADIUS}"

    def fill(self, sample: Sample, image: Image) -> Image:
        return np.asarray(cv2.inpaint(image, as_bytes(sample.hole), RADIUS, self.flag), np.uint8)

    def facts(self, sample: Sample) -> str:
        return ""


class PatchMatch:
    """PatchMatch (Barnes et al. 2009) as the package `pypatchmatch` builds on it."""

    name = "PatchMatch"

    def __init__(self, seed: int) -> None:
        """Raises MissingBackend."""
        get = "pip install 'lgnet[bench]'  (pypatchmatch takes Python 3.11 or later)"
        try:
            import patchmatch
        except ImportError as error:
            raise MissingBackend("PatchMatch: pypatchmatch is not installed here", mend=get) from error
        if not patchmatch.patchmatch_available:
            raise MissingBackend("PatchMatch: pypatchmatch was installed without its compiled library", mend=get)
        patchmatch.set_random_seed(seed)  # each call starts from it
        self._inpaint = patchmatch.inpaint
        self.source = f"pypatchmatch {version('pypatchmatch')}, patch radius {PATCH}, seed {seed}"

    def fill(self, sample: Sample, image: Image) -> Image:
        return np.asarray(self._inpaint(image, sample.hole, patch_size=PATCH), np.uint8)

    def facts(self, sample: Sample) -> str:
        return ""


class Folder:
    """Pictures that another system made of the inputs that `--write-inputs` writes, laid out as those."""

    def __init__(self, name: str, folder: Path) -> None:
        """Raises UsageError when there is no such folder."""
        self.name = name
        self.source = f"results in {folder}"
        self._folder, self._files = folder, by_stem(folder)

    def fill(self, sample: Sample, image: Image) -> Image:
        file = self._file(sample)
        picture = decode(file.read_bytes(), file)
        if (picture.height, picture.width) != image.shape[:2]:
            raise FileError(
                f"{file}: is {picture.width} x {picture.height}, evaluated at {image.shape[1]} x {image.shape[0]}",
                mend="fill the pictures that --write-inputs writes, and keep their size",
            )
        return to_rgb(picture.pixels, picture.kind)

    def facts(self, sample: Sample) -> str:
        stat = self._file(sample).stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"

    def _file(self, sample: Sample) -> Path:
        found = self._files.get(sample.place, [])
        if len(found) != 1:
            what = "several results" if found else "no result"
            raise FileError(f"{self._folder}/{sample.place}: {what} of that name", mend="see --write-inputs")
        return found[0]


def merged(method: Method, sample: Sample, original: Image) -> Image:
    """A method's result with the original's known pixels, whatever the method made of them. Raises FileError.

    `--paper-compat` is the exception: upstream's merged picture has its known pixels truncated too.
    """
    filled = method.fill(sample, original)
    return filled if isinstance(method, Truncating) else np.where(sample.hole[:, :, None], filled, original)


def this_model(
    backends: list[str], weights: Path | None, engine: Path | None, size: int, threads: int | None
) -> list[ThisModel]:
    """The network on each back end, named ALONE where there is one, `ALONE (BACKEND)` where there are several."""
    made = []
    for backend in backends:
        choice = choose(backend)
        opened = open_engine(choice, weights=weights, engine=engine, threads=threads)
        made.append(ThisModel(ALONE if len(backends) == 1 else f"{ALONE} ({choice.name})", opened, size, engine))
    return made


def weights_of(info: EngineInfo, file: Path | None) -> str:
    """Which weights an engine has: their hash, or where it does not know it, that of its `file`."""
    if info.weights_sha256:
        return f"weights {info.weights_sha256[:12]}"
    return f"weights unknown, SHA-256 of the file {sha256(file)[:12]}" if file else "weights unknown"


def against(words: list[str], seed: int, threads: int | None) -> list[Method]:
    """The methods that `--against` names.

    Args:
        words: `telea`, `ns`, `patchmatch`, several with commas; `NAME=FOLDER`; `NAME=FILE.onnx[:CONVENTION]`.
        seed: of PatchMatch.
        threads: of ONNX files; all CPUs if None.

    Raises:
        UsageError: no such method, or a row's name twice.
        MissingBackend: the package of a named method is not installed.
        ModelError: an ONNX file that cannot be loaded.
    """
    methods: list[Method] = []
    for word in words:
        name, given, target = word.partition("=")
        methods += [_named(name, target, threads)] if given else [_known(part, seed) for part in word.split(",")]
    return methods


def checked(methods: list[Method]) -> list[Method]:
    """The same. Raises UsageError when two have one name."""
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"several rows of one name: {', '.join(twice)}", mend="name them with NAME=FOLDER")
    return methods


def _known(word: str, seed: int) -> Method:
    if word == "telea":
        return Classical("Telea", cv2.INPAINT_TELEA)
    if word == "ns":
        return Classical("Navier-Stokes", cv2.INPAINT_NS)
    if word == "patchmatch":
        return PatchMatch(seed)
    raise UsageError(
        f"--against {word}: no such method", mend="there are: telea, ns, patchmatch, NAME=FOLDER, NAME=FILE.onnx"
    )


def _named(name: str, target: str, threads: int | None) -> Method:
    from lgnet_cli.benchmarks.onnx_method import OnnxMethod, split

    file, convention = split(target)
    return OnnxMethod(name, file, convention, threads) if file else Folder(name, Path(target))


def _check_size(sizes: str, size: int) -> None:
    if sizes != str(size) and (sizes != ANY_SIZE or size % SIZE_MULTIPLE):
        raise UsageError(f"this model runs at {sizes}, not at {size}", mend="give --size one it runs at")
