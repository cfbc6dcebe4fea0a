"""What lpips and torch-fidelity ask of torchvision when they are imported, with random weights and nothing behind it.

So the reference formulas can run where no torchvision fits the PyTorch that is installed.
"""

from . import datasets, models, transforms

__all__ = ["datasets", "models", "transforms"]
