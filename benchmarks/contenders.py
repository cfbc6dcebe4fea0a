"""What latency compares: every back end, and upstream's formulas, on one model and the same pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lgnet_cli.engines.protocol import Engine, EngineInfo, Pixels
from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.errors import EngineError, MissingBackend
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import read_header, sha256

if TYPE_CHECKING:
    from torch import nn

UPSTREAM = "upstream"
"""The row of upstream's formulas in PyTorch; on a GPU with `-cuda` after it."""

DISTINCT = 4
"""Pictures that differ in a batch; a larger one repeats them."""


class UpstreamEngine:
    """Satisfies `Engine`: `benchmarks/upstream.py` in PyTorch's own arithmetic, known pixels put back in 8 bits."""

    def __init__(self, weights: Path, device: str) -> None:
        from lgnet_cli.benchmarks.upstream import plain
        from lgnet_cli.engines.export import EightBit
        from lgnet_cli.model import load

        self._network, self._device = EightBit(plain(load(weights))).eval().to(device), device
        name = UPSTREAM if device == "cpu" else f"{UPSTREAM}-{device}"
        where = "CPU" if device == "cpu" else device
        self.info = EngineInfo(name, where, "fp32", "multiples of 256", 1 << 24, sha256(weights))

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        try:
            return _run(self._network, image, mask, self._device)
        except RuntimeError as error:  # out of memory is one
            raise EngineError(f"PyTorch failed: {str(error).partition(chr(10))[0]}") from error

    def close(self) -> None:
        self.__dict__.pop("_network", None)


def open_contender(name: str, weights: Path | None) -> Engine:
    """A back end as `--backend` names it, or upstream's formulas. Raises LgnetError with the reason it cannot run."""
    if name.partition("-")[0] != UPSTREAM:
        return open_engine(choose(name), weights=weights)
    need_torch("the baseline of upstream's formulas")
    return UpstreamEngine(weights or DEFAULT_WEIGHTS, name.partition("-")[2] or "cpu")


def reference(weights: Path | None, image: Pixels, mask: Pixels) -> Pixels:
    """What the PyTorch model as it was trained (BatchNorm not folded, one picture at a time) makes of a batch."""
    from lgnet_cli.engines.export import EightBit
    from lgnet_cli.model import load

    network = EightBit(load(weights or DEFAULT_WEIGHTS)).eval()
    distinct = range(min(DISTINCT, len(image)))
    filled = [_run(network, image[i : i + 1], mask[i : i + 1], "cpu")[0] for i in distinct]
    return np.stack([filled[i % DISTINCT] for i in range(len(image))])


def pictures(batch: int, size: int) -> tuple[Pixels, Pixels]:
    """Photo-like pictures, smooth with noise, a quarter of each a hole: (N, S, S, 3) RGB and (N, S, S) uint8."""
    images = [_picture(seed, size) for seed in range(min(DISTINCT, batch))]
    masks = np.zeros((batch, size, size), np.uint8)
    masks[:, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 255
    return np.stack([images[i % DISTINCT] for i in range(batch)]), masks


def make_weights(width: int, folder: Path) -> Path:
    """Write random weights of base width `width` and their graph; the time they take is that of trained ones.

    BatchNorm's statistics are those of `pictures`, so that signals neither die nor explode on their way, and a wrong
    engine gives another picture.
    """
    need_torch(f"a model of width {width}")
    import torch

    from lgnet_cli.engines.export import export_onnx
    from lgnet_cli.model import LGNet, save

    torch.manual_seed(0)
    model = LGNet(width).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # plain averages
    image, mask = (torch.from_numpy(a) for a in pictures(DISTINCT, 256))
    with torch.no_grad():
        model(image.permute(0, 3, 1, 2) / 127.5 - 1, (mask != 0).float()[:, None])
    weights = folder / f"random-w{width}.safetensors"
    save(model.eval(), weights, {"made": "random weights, to measure time"})
    export_onnx(model, weights.with_suffix(".onnx"), weights_sha256=sha256(weights))
    return weights


def width_of(weights: Path | None) -> int:
    """The base width of native weights, or of the model that ships. Raises ModelError."""
    return read_header(weights or DEFAULT_WEIGHTS).width


def need_torch(what: str) -> None:
    """Raises MissingBackend where PyTorch or what exports with it is missing."""
    try:
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingBackend(f"{what} takes PyTorch", mend="install it with: pip install 'lgnet[torch]'") from error


def _run(network: "nn.Module", image: Pixels, mask: Pixels, device: str) -> Pixels:
    import torch

    with torch.inference_mode():
        filled = network(torch.from_numpy(image).to(device), torch.from_numpy(mask).to(device))
    return np.asarray(filled.contiguous().cpu().numpy(), np.uint8)


def _picture(seed: int, size: int) -> Pixels:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    return (smooth.astype(np.int64) + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
