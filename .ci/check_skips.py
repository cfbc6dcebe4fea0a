"""Of pytest's --junitxml files: nothing was skipped but for want of a GPU, or of what this machine cannot have."""

import sys
from pathlib import Path
from xml.etree import ElementTree

ALLOWED = [
    "GPU",
    "CUDA",
    "the fixture came from AVX2 kernels",  # of another processor
    "mounting a tmpfs is refused here",  # a container may not, even as root
    *(["pypatchmatch takes Python 3.11"] if sys.version_info < (3, 11) else []),
]

skipped, wrong = 0, []
for file in map(Path, sys.argv[1:]):
    for case in ElementTree.parse(file).iter("testcase"):  # noqa: S314  pytest wrote it a moment ago
        place = f"{case.get('classname')}.{case.get('name')}"
        for found in case.iter("skipped"):
            said = f"{place}: {found.get('message')}"
            skipped += 1
            if "tests.engines.test_gpu." not in said and not any(reason in said for reason in ALLOWED):
                wrong.append(said)
print(f"{skipped} skipped, {len(wrong)} of them without need", *wrong, sep="\n  ")
sys.exit(bool(wrong))
