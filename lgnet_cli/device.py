"""`--device N`: which GPU of several, said to CUDA before anything of it is loaded."""

import os

from .errors import UsageError

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


def use_device(number: int | None) -> None:
    """Let this process and its children see that GPU alone, for TensorRT, PyTorch and the driver alike.

    Args:
        number: as nvidia-smi counts them; where CUDA_VISIBLE_DEVICES is set, as they stand there. None for all.

    Raises:
        UsageError: CUDA_VISIBLE_DEVICES names fewer.
    """
    if number is None:
        return
    shown = os.environ.get(VISIBLE)
    if shown is None:
        os.environ.setdefault(ORDER, "PCI_BUS_ID")  # nvidia-smi's; CUDA's own puts the fastest first
        os.environ[VISIBLE] = str(number)
        return
    names = [name.strip() for name in shown.split(",") if name.strip()]
    if number >= len(names):
        raise UsageError(f"--device {number}: {VISIBLE}={shown} shows {len(names)} of this machine's GPUs")
    os.environ[VISIBLE] = names[number]
