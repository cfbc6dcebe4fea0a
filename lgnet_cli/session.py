"""The Python interface: arrays in, arrays out, the model loaded once."""

from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .engines.select import choose, open_engine
from .errors import UsageError
from .imaging.crops import MARGIN, HdMode, cut, plan
from .imaging.masks import Hole
from .imaging.picture import Kind, Picture, swapped
from .refine import Refine
from .refine.paste import paste

KINDS: dict[int, Kind] = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}


class Session:
    """A loaded model. One call at a time; use it as a context manager, or call `close`.

    >>> with lgnet_cli.Session() as session:
    ...     result = session.inpaint(image, mask)
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        backend: str = "auto",
        engine: str | Path | None = None,
        trust_engine: bool = False,
    ) -> None:
        """Load a model.

        Args:
            weights: native weights (.safetensors); the model that ships if None.
            backend: as `lgnet inpaint --backend` takes it.
            engine: an exported graph (.onnx) or a plan instead of weights.
            trust_engine: run a plan that its sidecar does not vouch for; plans are code.

        Raises:
            MissingBackend: the named back end is not installed.
            ModelError: a file is missing or broken.
        """
        files = {name: Path(file) if file else None for name, file in (("weights", weights), ("engine", engine))}
        choice = choose(backend, files["engine"])
        self._engine = open_engine(choice, weights=files["weights"], engine=files["engine"], trust=trust_engine)
        self.info = self._engine.info

    def inpaint(
        self,
        image: NDArray[Any],
        mask: NDArray[Any],
        *,
        hd: HdMode = "crop",
        crop_margin: int = MARGIN,
        merge_crops: bool = False,
        refine: Refine = "texture",
        seed: int = 0,
    ) -> NDArray[Any]:
        """Fill the holes of one image.

        Args:
            image: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, of any size. Not changed.
            mask: (H, W), bool with True = hole, or uint8 with at least 128 = hole.
            hd: how an image of another size than the network's is filled: crop, resize or original.
            crop_margin: pixels of surroundings around each group of holes at least, for crop.
            merge_crops: join all crops that overlap.
            refine: texture: copy texture from around each hole, guided by the network; tone: bring the network's fill
                to the tone of its surroundings; none: the network exactly as the paper has it.
            seed: another one gives another result where several fit nearly as well; 0 takes the best.

        Returns:
            A new array of the image's shape and dtype; known pixels and alpha are the input's, bit for bit.

        Raises:
            UsageError: an array of another shape or dtype, or no such refinement.
            EngineError: the engine failed, for lack of memory, say.
        """
        if refine not in get_args(Refine):
            raise UsageError(f"refine is {refine!r}; expected one of {', '.join(get_args(Refine))}")
        hole = _hole(image, mask)
        picture = _picture(image)
        crops = plan(hole, mode=hd, margin=crop_margin, size=self.info.side, merge=merge_crops)
        if any(crop.size[0] * crop.size[1] > self.info.max_pixels for crop in crops):
            raise UsageError(f"{picture.width} x {picture.height} is more than this engine fills at once: hd='crop'")
        drawn = []
        for crop in crops:
            pixels, holes = cut(picture, hole, crop, border=refine != "none")
            drawn.append(self._engine.fill(pixels[None], holes[None])[0])
        with threadpool_limits(1, user_api="blas"):  # with more of them, NumPy sums in another order
            paste(picture, hole, crops, drawn, refine, seed)
        return swapped(picture.pixels, picture.kind).reshape(image.shape)

    def close(self) -> None:
        """Give the model's memory back."""
        self._engine.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def inpaint(
    image: NDArray[Any], mask: NDArray[Any], *, refine: Refine = "texture", seed: int = 0, **session: Any
) -> NDArray[Any]:
    """Fill one image's holes; loads the model each time, so use a `Session` for several. See `Session.inpaint`."""
    with Session(**session) as opened:
        return opened.inpaint(image, mask, refine=refine, seed=seed)


def _picture(image: NDArray[Any]) -> Picture:
    channels = image[:, :, None] if image.ndim == 2 else image
    if channels.ndim != 3 or channels.shape[2] not in KINDS or channels.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"image is {image.shape} {image.dtype}; expected (H, W[, 1, 3 or 4]) uint8 or uint16")
    kind = KINDS[channels.shape[2]]
    return Picture(swapped(channels, kind).copy(), kind, "PNG", True, b"", b"")


def _hole(image: NDArray[Any], mask: NDArray[Any]) -> Hole:
    if mask.shape != image.shape[:2] or mask.dtype not in (np.bool_, np.uint8):
        raise UsageError(f"mask is {mask.shape} {mask.dtype}; expected {image.shape[:2]} bool or uint8")
    if mask.dtype == np.uint8 and mask.max(initial=0) == 1:
        raise UsageError("mask is uint8 of 0 and 1 alone; in uint8, at least 128 = hole: pass mask.astype(bool)")
    return mask if mask.dtype == np.bool_ else np.asarray(mask >= 128)
