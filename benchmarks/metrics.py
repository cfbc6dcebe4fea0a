"""How far a filled image is from the original. All on 8-bit RGB, (H, W, 3), the whole merged image."""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Image = NDArray[np.uint8]


def psnr_db(filled: Image, original: Image) -> float:
    """20 log10(255 / RMSE); 100 where they are equal."""
    mse = float(np.mean((filled.astype(np.float64) - original) ** 2))
    return 100.0 if mse == 0 else float(20 * np.log10(255) - 10 * np.log10(mse))


def l1_percent(filled: Image, original: Image) -> float:
    """100 * sum |a - b| / sum |b|, b the original: relative, the definition that fits the paper's tables best."""
    off = float(np.abs(filled.astype(np.int64) - original).sum())
    return 100 * off / max(float(original.sum(dtype=np.int64)), 1.0)


def ssim(filled: Image, original: Image) -> float:
    """Structural similarity with the uniform 51-pixel window that this family of papers used."""
    return float(structural_similarity(filled, original, channel_axis=2, data_range=255, win_size=51))
