"""The network and its files; needs PyTorch (the `torch` extra)."""

from .checkpoint import load, load_published, save
from .lgnet import LGNet, Stages

__all__ = ["LGNet", "Stages", "load", "load_published", "save"]
