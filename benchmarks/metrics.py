"""How far a filled image is from the original. All on 8-bit RGB, (H, W, 3), the whole merged image."""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from lgnet_cli.imaging.masks import Hole

Image = NDArray[np.uint8]


def psnr_db(filled: Image, original: Image) -> float:
    """20 log10(255 / RMSE); 100 where they are equal."""
    mse = float(np.mean((filled.astype(np.float64) - original) ** 2))
    return 100.0 if mse == 0 else float(20 * np.log10(255) - 10 * np.log10(mse))


def l1_percent(filled: Image, original: Image) -> float:
    """100 * sum |a - b| / sum |b|, b the original: relative, the definition that fits the paper's tables best."""
    off = float(np.abs(filled.astype(np.int64) - original).sum())
    return 100 * off / max(float(original.sum(dtype=np.int64)), 1.0)


def l1_01_percent(filled: Image, original: Image) -> float:
    """100 * mean |a - b|, both in [0, 1]."""
    return 100 * float(np.abs(filled.astype(np.int64) - original).mean()) / 255


def l1_hole_percent(filled: Image, original: Image, hole: Hole) -> float:
    """`l1_01_percent` over the pixels of `hole` (H, W) alone; 0 where there is none."""
    return l1_01_percent(filled[hole], original[hole]) if hole.any() else 0.0


def ssim(filled: Image, original: Image) -> float:
    """Structural similarity with the uniform 51-pixel window that this family of papers used."""
    return float(structural_similarity(filled, original, channel_axis=2, data_range=255, win_size=51))


def ssim_gaussian(filled: Image, original: Image) -> float:
    """Structural similarity as its paper defines it (Wang et al. 2004): a Gaussian of 11 pixels, sigma 1.5."""
    return float(
        structural_similarity(
            filled, original, channel_axis=2, data_range=255,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip


def pixel_metrics(filled: Image, original: Image, hole: Hole) -> dict[str, float]:
    """Every column that needs the pixels alone."""
    return {
        "l1_percent": l1_percent(filled, original),
        "psnr_db": psnr_db(filled, original),
        "ssim": ssim(filled, original),
        "l1_01_percent": l1_01_percent(filled, original),
        "l1_hole_percent": l1_hole_percent(filled, original, hole),
        "ssim_gaussian": ssim_gaussian(filled, original),
    }
