"""PyTorch: CUDA where there is one, and the reference the other back ends are held against."""

import copy
from collections.abc import Callable
from pathlib import Path

import torch

from lgnet_cli.errors import EngineError, MissingBackend
from lgnet_cli.model import LGNet, load
from lgnet_cli.weights.header import sha256

from .export import EightBit, fold_batchnorm
from .nvidia.attention import halve_attention
from .protocol import EngineInfo, Pixels
from .verify import Verdict, compare, crops
from .windows import around_holes

MAX_PIXELS = 4096 * 4096
"""Of one call: fused attention stores no scores, so memory grows with the pixels alone."""

BATCH = 8
"""Crops a call on a GPU."""


class TorchEngine:
    """Native weights through PyTorch: on a CPU in float32, on a GPU in half.

    In half it is held against itself in float32 when it is loaded, as plans are when they are built. Weights that half
    cannot compute run in float32, and `info.beware` says so.
    """

    def __init__(
        self, weights: Path, *, device: str = "cpu", threads: int | None = None, half: bool | None = None
    ) -> None:
        """Load native `weights` onto `device` (cpu, cuda, cuda:1 ...), in half or not; None: as above.

        Raises ModelError, MissingBackend.
        """
        on_gpu = device.startswith("cuda")
        if on_gpu and not torch.cuda.is_available():
            raise MissingBackend(
                f"torch-cuda: this PyTorch ({torch.__version__}) sees no CUDA device",
                mend="check the driver with nvidia-smi, or run on the CPU with --backend onnxruntime",
            )
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        folded, beware = fold_batchnorm(load(weights)), ""
        half = on_gpu if half is None else half
        if not on_gpu and not half:  # a GPU would wait at each cut to be told its size
            folded = around_holes(folded)
        self._network = self._placed(folded)
        if half:
            full, self._network = self._network, self._placed(halve_attention(copy.deepcopy(folded)).half())
            verdict = _held(full, self._network, self._device)
            if not verdict.good:
                self._network, half = full, False
                beware = f"half cannot compute these weights, so float32 does, which is slower: {verdict}"
        self.info = EngineInfo(
            backend="torch-cuda" if on_gpu else "torch",
            device=torch.cuda.get_device_name(self._device) if on_gpu else "CPU",
            precision="fp16" if half else "fp32",
            sizes="multiples of 256",
            max_pixels=MAX_PIXELS,
            weights_sha256=sha256(weights),
            batch=BATCH if on_gpu else 1,
            beware=beware,
        )

    def _placed(self, model: LGNet) -> torch.nn.Module:
        network = EightBit(model).eval()
        placed: torch.nn.Module = network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed

    @torch.inference_mode()
    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        try:
            return _filled(self._network, self._device, image, mask)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            raise EngineError(f"PyTorch failed: {str(error).partition(chr(10))[0]}") from error

    def close(self) -> None:
        self.__dict__.pop("_network", None)


@torch.inference_mode()
def _filled(network: torch.nn.Module, device: torch.device, image: Pixels, mask: Pixels) -> Pixels:
    pixels, holes = (torch.from_numpy(a).to(device) for a in (image, mask))
    filled: Pixels = network(pixels, holes).contiguous().cpu().numpy()
    return filled


def _held(full: torch.nn.Module, half: torch.nn.Module, device: torch.device) -> Verdict:
    """How far half is from float32, on the crops that plans are verified on. Raises EngineError."""
    images, masks = crops()
    try:
        ours, theirs = (_filled(network, device, images, masks) for network in (half, full))
    except RuntimeError as error:
        raise EngineError(f"PyTorch failed: {str(error).partition(chr(10))[0]}") from error
    return compare(ours, theirs, images, masks)


def fill_with(model: LGNet) -> Callable[[Pixels, Pixels], Pixels]:
    """`fill` of a model in memory, in float32 on the CPU."""
    network = EightBit(fold_batchnorm(model)).eval()

    @torch.inference_mode()
    def fill(image: Pixels, mask: Pixels) -> Pixels:
        filled: Pixels = network(torch.from_numpy(image), torch.from_numpy(mask)).contiguous().numpy()
        return filled

    return fill
