"""lgnet: repair folders of photos by LGNet image inpainting.

>>> import lgnet_cli
>>> result = lgnet_cli.inpaint(image, mask)  # arrays; see lgnet_cli.Session for several images
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session, inpaint

__version__ = "0.1.0"
__all__ = ["Session", "__version__", "inpaint"]


def __getattr__(name: str) -> Any:
    """Load the interface when it is first used, so that `lgnet --help` does not load NumPy and OpenCV."""
    if name in ("Session", "inpaint"):
        from . import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
