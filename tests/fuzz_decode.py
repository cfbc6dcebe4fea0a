"""Coverage-guided damage on the decode path: `python tests/fuzz_decode.py -max_total_time=60`; needs lgnet[fuzz].

A file either decodes or is refused with a FileError; anything else, also 5 seconds or 2 GiB for one, stops the run and
leaves the file as crash-*, timeout-* or oom-*. The formats' own libraries are watched through what they return: atheris
sees the branches of lgnet, Pillow and tifffile, not those of C.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lgnet_cli", "PIL", "tifffile"]):
    from mutants import healthy

    from lgnet_cli.errors import FileError
    from lgnet_cli.imaging.files import decode, encode

MAX_PIXELS = 4_000_000  # small pictures find as much, sooner


def one(data: bytes) -> None:
    try:
        picture = decode(data, Path("fuzzed"), MAX_PIXELS)
        encode(picture, picture.format, 95)
    except FileError:
        pass


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in healthy().items():
            Path(folder, name).write_bytes(data)
        options = ["-timeout=5", "-rss_limit_mb=2048", "-max_len=20000", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
