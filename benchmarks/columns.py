"""The columns of a quality table, in its order: what each measures, in a line that is printed under it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    name: str
    title: str
    better: Literal["lower", "higher", "nearest"]  # nearest to what the photos themselves give
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

NATIVE = (
    Column("st_lpips_large", "ST-LPIPS, large hole", "lower", "shift-tolerant LPIPS on AlexNet, in [-1, 1], of the "
           "512 x 512 pixels in the middle of the large hole, at the photo's own size", 4),
    Column("st_lpips_windows", "ST-LPIPS, windows", "lower", "the same, mean over at most 4 such windows a photo: on "
           "the large hole, then where most of the other holes is", 4),
    Column("fine_band", "fine band, share", "nearest", "in the large hole, at least 8 pixels from its edge: standard "
           "deviation of grey minus its Gaussian blur (sigma 2), divided by that of the photo; photos in which that is "
           "under 0.5 levels of 255 are left out"),
    Column("rim_step", "rim step, levels", "nearest", "of thin holes: mean colour of the outermost 3 pixels inside "
           "against that of 3 pixels outside, in every square of 64 x 64 pixels, absolute, levels of 255; mean over "
           "squares, weighted by hole pixels", 2),
    Column("psnr_thin_db", "PSNR, thin holes, dB", "higher", "over the pixels of thin holes alone; mean over photos "
           "of decibels; 100 where nothing differs", 2),
    Column("psnr_large_db", "PSNR, large hole, dB", "higher", "the same, over the pixels of the large hole alone", 2),
    Column("seconds", "seconds a photo", "lower", "to fill it, on this machine, by the clock", 2),
)  # fmt: skip
"""Of whole photos at their own size."""
