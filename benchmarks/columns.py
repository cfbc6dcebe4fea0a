"""The columns of a quality table, in its order: what each measures, in a line that is printed under it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    name: str
    title: str
    better: Literal["lower", "higher"]
    definition: str
    digits: int = 3  # shown after the point: as the paper has them, where it has the column


PICTURES = "on merged 8-bit RGB pictures (known pixels are the original's), the whole picture, mean over pictures"

COLUMNS = (
    Column("l1_percent", "l1, %", "lower", "100 * sum|a-b| / sum|b|, b the original", 2),
    Column("psnr_db", "PSNR, dB", "higher", "20 log10(255 / RMSE) over RGB, of each picture; 100 where RMSE = 0", 2),
    Column("ssim", "SSIM", "higher", "scikit-image, RGB, data range 255, uniform window of 51 pixels"),
    Column("fid", "FID", "lower", "Inception 2015-12-05, 2048 features, torch-fidelity's network and formula; "
           "biased upwards below some thousand pictures", 2),
    Column("lpips", "LPIPS", "lower", "AlexNet, heads of lpips 0.1.4, in [-1, 1]", 4),
    Column("lpips_vgg", "LPIPS on VGG16", "lower", "VGG16, heads of lpips 0.1.4, in [-1, 1]", 4),
    Column("st_lpips", "ST-LPIPS", "lower", "shift-tolerant LPIPS on AlexNet (Ghildyal and Liu 2022), in [-1, 1]", 4),
    Column("l1_01_percent", "l1 of [0, 1], %", "lower", "100 * mean|a-b|, both in [0, 1]", 2),
    Column("l1_hole_percent", "l1 in holes, %", "lower", "100 * mean|a-b| over hole pixels, both in [0, 1]", 2),
    Column("ssim_gaussian", "SSIM, Gaussian", "higher", "scikit-image, RGB, data range 255, Gaussian of 11 pixels, "
           "sigma 1.5, no sample covariance"),
    Column("kid", "KID", "lower", "squared MMD of FID's features, cubic kernel, mean of 100 subsets of 1000 pictures "
           "(of all, where there are fewer), as torch-fidelity's", 5),
    Column("p_ids", "P-IDS", "higher", "share of pairs whose result a linear SVM on FID's features ranks as more real "
           "than its original (Zhao et al. 2021), of at most 5000 pairs"),
    Column("u_ids", "U-IDS", "higher", "error rate of that SVM"),
)  # fmt: skip

PIXEL = ("l1_percent", "psnr_db", "ssim", "l1_01_percent", "l1_hole_percent", "ssim_gaussian")
PERCEPTUAL = ("lpips", "lpips_vgg", "st_lpips")
SETS = ("fid", "kid", "p_ids", "u_ids")
"""Of two sets of pictures, not of one pair: they have no value for a single picture."""
