"""Versions of TensorRT of which wrong results in half are reported: named before a build, which is then verified."""

from typing import NamedTuple


class Report(NamedTuple):
    """What is known of a version, from a report that anybody can read."""

    version: str  # how its number begins
    capability: str  # of the GPUs concerned, "" for any
    what: str
    where: str


REPORTS = (
    Report("10.0", "7.5", "wrong results in half on a T4", "https://github.com/NVIDIA/TensorRT/issues/4022"),
    Report("10.2.0", "", "others pin another version for its bugs", "https://github.com/NVIDIA/TensorRT/issues/3983"),
    Report("10.13", "", "half far from float32 where 10.3 was close", "https://github.com/NVIDIA/TensorRT/issues/4820"),
    Report("11.2.1", "", "wrong sums behind fused convolutions", "https://github.com/NVIDIA/TensorRT/issues/4854"),
)


def known_bad(version: str, capability: str) -> str:
    """What is reported of TensorRT `version` on a GPU of `capability`, such as "7.5"; "" if nothing is."""
    for report in REPORTS:
        here = f"{version}.".startswith(f"{report.version}.") and report.capability in ("", capability)
        if here:
            return f"TensorRT {version}: {report.what} is reported ({report.where}); another version is safer"
    return ""
