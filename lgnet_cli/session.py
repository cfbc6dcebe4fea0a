"""The Python interface: arrays in, arrays out, the model loaded once."""

from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .engines.protocol import Engine
from .engines.select import choose, open_engine
from .errors import UsageError
from .imaging.crops import MARGIN, HdMode, cut, plan
from .imaging.masks import Hole
from .imaging.picture import Kind, Picture, swapped
from .refine import Refine
from .refine.paste import paste

Pixels = Any
"""An array, or what has `__array__` or `__array_interface__`."""

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
        self._engine: Engine | None = open_engine(
            choice, weights=files["weights"], engine=files["engine"], trust=trust_engine
        )
        self.info = self._engine.info

    def inpaint(
        self,
        image: Pixels,
        mask: Pixels,
        *,
        hd: HdMode = "crop",
        crop_margin: int = MARGIN,
        merge_crops: bool = False,
        refine: Refine = "texture",
        seed: int = 0,
    ) -> NDArray[Any]:
        """Fill the holes of one image.

        Args:
            image: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, of any size. An array, or what
                NumPy makes one of: a picture of Pillow's, a tensor. Not changed.
            mask: (H, W), bool with True = hole, or uint8 with at least 128 = hole; likewise.
            hd: how an image of another size than the network's is filled: crop, resize or original.
            crop_margin: pixels of surroundings around each group of holes at least, for crop.
            merge_crops: join all crops that overlap.
            refine: texture: copy texture from around each hole, guided by the network; tone: bring the network's fill
                to the tone of its surroundings; none: the network exactly as the paper has it.
            seed: another one gives another result where several fit nearly as well; 0 takes the best.

        Returns:
            A new array of the image's shape and dtype; known pixels and alpha are the input's, bit for bit.

        Raises:
            UsageError: an array of another shape or dtype, an option of another value, or a session that is closed.
            EngineError: the engine failed, for lack of memory, say.
        """
        if self._engine is None:
            raise UsageError("this session is closed", mend="open another: lgnet_cli.Session()")
        _check_options(hd, crop_margin, merge_crops)
        if refine not in get_args(Refine):
            raise UsageError(f"refine is {refine!r}; expected one of {', '.join(get_args(Refine))}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise UsageError(f"seed is {seed!r}; expected a whole number from 0 on")
        image, mask = _array(image, "image"), _array(mask, "mask")
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
        """Give the model's memory back. A second call does nothing."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def inpaint(image: Pixels, mask: Pixels, *, refine: Refine = "texture", seed: int = 0, **session: Any) -> NDArray[Any]:
    """Fill one image's holes; loads the model each time, so use a `Session` for several. See `Session.inpaint`."""
    with Session(**session) as opened:
        return opened.inpaint(image, mask, refine=refine, seed=seed)


def _check_options(hd: object, crop_margin: object, merge_crops: object) -> None:
    if hd not in get_args(HdMode):
        raise UsageError(f"hd is {hd!r}; expected {', '.join(get_args(HdMode))}")
    if isinstance(crop_margin, bool) or not isinstance(crop_margin, int | np.integer) or not 0 <= crop_margin <= 4096:
        raise UsageError(f"crop_margin is {crop_margin!r}; expected a whole number from 0 to 4096")
    if not isinstance(merge_crops, bool | np.bool_):
        raise UsageError(f"merge_crops is {merge_crops!r}; expected True or False")


def _array(pixels: object, name: str) -> NDArray[Any]:
    if not any(hasattr(pixels, name) for name in ("__array__", "__array_interface__")):
        raise UsageError(f"{name} is a {type(pixels).__name__}; expected an array, or a picture of Pillow's")
    if getattr(pixels, "mode", "") in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):  # of Pillow's
        raise UsageError(f"{name} is of Pillow's mode {pixels.mode}", mend="pass image.convert('RGB')")  # type: ignore[attr-defined]
    try:
        return np.asarray(pixels)
    except Exception as error:  # a tensor on a GPU, or one that wants a gradient
        raise UsageError(f"{name} cannot be made an array: {error}") from error


def _picture(image: NDArray[Any]) -> Picture:
    channels = image[:, :, None] if image.ndim == 2 else image
    if channels.ndim != 3 or channels.shape[2] not in KINDS or channels.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"image is {image.shape} {image.dtype}; expected (H, W[, 1, 3 or 4]) uint8 or uint16")
    kind = KINDS[channels.shape[2]]
    return Picture(swapped(channels, kind).copy(), kind, "PNG", True, b"", b"")


def _hole(image: NDArray[Any], mask: NDArray[Any]) -> Hole:
    if 0 in image.shape:
        raise UsageError(f"image is {image.shape}: there is nothing in it")
    if mask.shape != image.shape[:2] or mask.dtype not in (np.bool_, np.uint8):
        raise UsageError(f"mask is {mask.shape} {mask.dtype}; expected {image.shape[:2]} bool or uint8")
    if mask.dtype == np.uint8 and mask.max(initial=0) == 1:
        raise UsageError("mask is uint8 of 0 and 1 alone; in uint8, at least 128 = hole: pass mask.astype(bool)")
    return mask if mask.dtype == np.bool_ else np.asarray(mask >= 128)
