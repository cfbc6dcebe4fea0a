"""File name suffixes and the formats they promise. Imports nothing, for matching and `--help` come before decoding."""

SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".dib": "BMP",
}  # fmt: skip
"""Suffix, in lower case: format."""

FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
"""Format: the suffix it is written with."""

NOT_WRITTEN = {
    ".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".pdf", ".tga", ".ico", ".exr", ".hdr",
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".apng",
}  # fmt: skip
"""Suffixes of pictures that lgnet does not write: whoever names one means a file, not a folder."""
