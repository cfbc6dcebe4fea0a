"""PyTorch: CUDA where there is one, and the reference the other back ends are held against."""

from collections.abc import Callable
from pathlib import Path

import torch

from lgnet_cli.errors import EngineError, MissingBackend
from lgnet_cli.model import LGNet, load
from lgnet_cli.weights.header import sha256

from .export import EightBit, fold_batchnorm
from .protocol import EngineInfo, Pixels
from .windows import around_holes

MAX_PIXELS = 4096 * 4096
"""Of one call: fused attention stores no scores, so memory grows with the pixels alone."""


class TorchEngine:
    """Native weights through PyTorch, in float32."""

    def __init__(self, weights: Path, *, device: str = "cpu", threads: int | None = None) -> None:
        """Load native `weights` onto `device` (cpu, cuda, cuda:1 ...). Raises ModelError, MissingBackend."""
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise MissingBackend(
                f"torch-cuda: this PyTorch ({torch.__version__}) sees no CUDA device",
                mend="check the driver with nvidia-smi, or run on the CPU with --backend onnxruntime",
            )
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        folded = fold_batchnorm(load(weights))
        if self._device.type == "cpu":  # a GPU would wait at each cut to be told its size
            folded = around_holes(folded)
        network = EightBit(folded).eval()
        self._network = network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.info = EngineInfo(
            backend="torch-cuda" if device.startswith("cuda") else "torch",
            device=torch.cuda.get_device_name(self._device) if device.startswith("cuda") else "CPU",
            precision="fp32",
            sizes="multiples of 256",
            max_pixels=MAX_PIXELS,
            weights_sha256=sha256(weights),
        )

    @torch.inference_mode()
    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        try:
            pixels, holes = (torch.from_numpy(a).to(self._device) for a in (image, mask))
            filled: Pixels = self._network(pixels, holes).contiguous().cpu().numpy()
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            raise EngineError(f"PyTorch failed: {str(error).partition(chr(10))[0]}") from error
        return filled

    def close(self) -> None:
        self.__dict__.pop("_network", None)


def fill_with(model: LGNet) -> Callable[[Pixels, Pixels], Pixels]:
    """`fill` of a model in memory, in float32 on the CPU."""
    network = EightBit(fold_batchnorm(model)).eval()

    @torch.inference_mode()
    def fill(image: Pixels, mask: Pixels) -> Pixels:
        filled: Pixels = network(torch.from_numpy(image), torch.from_numpy(mask)).contiguous().numpy()
        return filled

    return fill
