"""`lgnet inpaint --report`: the page of one OUT folder, from its lgnet-report.jsonl."""

from collections import Counter
from pathlib import Path

from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import LgnetError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.header import MAX_PIXELS
from lgnet_cli.imaging.masks import MaskOptions, read_mask
from lgnet_cli.imaging.picture import Picture, to_rgb
from lgnet_cli.imaging.reading import file_limit, read_whole
from lgnet_cli.places import place
from lgnet_cli.report import Record, records, reports_in

from .page import Case, Gallery, file_table, page

PAGE = "lgnet-report.html"

MAX_PICTURES = 60
"""On one page."""

BOUNDS = (0, 1, 10, 20, 30, 40, 50, 60, 100)
"""Percent of a picture's pixels: the page's filter."""


def write_batch_page(out: Path, masks: MaskOptions, max_pixels: int = MAX_PIXELS) -> Path:
    """Write OUT/lgnet-report.html, the largest holes first, from OUT's reports and the files they name.

    Args:
        out: the folder of a batch's results.
        masks: how that batch read its masks.
        max_pixels: a picture that claims more is named on the page instead of shown.

    Raises:
        OSError: the page cannot be written.
    """
    latest = {record.output: record for path in reports_in(out) for record in records(path)}.values()
    filled = sorted((r for r in latest if r.status == "filled"), key=lambda r: -r.hole_share)
    failed = [record for record in latest if record.status == "failed"]
    gallery = Gallery("input", {"share": "largest holes first", "seconds": "slowest first"})
    lost = _show(filled, masks, max_pixels, gallery)
    count = Counter(record.status for record in latest)
    lead = f"{count['filled']} filled, {count['copied']} copied (nothing to fill), {count['failed']} failed"
    sections = {"Failures": file_table([(r.input, r.error) for r in failed])} if failed else {}
    sections |= {"Not shown": file_table(lost)} if lost else {}
    target = out / PAGE
    write_bytes(target, page(f"lgnet: {out.resolve().name}", lead, sections, gallery).encode())
    return target


def _show(filled: list[Record], masks: MaskOptions, max_pixels: int, gallery: Gallery) -> list[tuple[str, str]]:
    """Put as many pictures on the page as it takes; return those that cannot be read any more, and why."""
    lost = []
    for number, record in enumerate(filled):
        if len(gallery.cases) == MAX_PICTURES or gallery.album.full():
            gallery.left_out = len(filled) - number
            break
        try:
            gallery.cases.append(_case(number, record, masks, max_pixels, gallery))
        except (OSError, LgnetError) as error:
            lost.append((record.input, str(error)))
    return lost


def _case(number: int, record: Record, masks: MaskOptions, max_pixels: int, gallery: Gallery) -> Case:
    before, after = (_opened(place(name), max_pixels) for name in (record.input, record.output))
    hole = read_mask(place(record.mask), before, masks, max_pixels)
    gallery.album.add_photo(f"{number}-before", to_rgb(before.pixels, before.kind))
    gallery.album.add_photo(f"{number}-after", to_rgb(after.pixels, after.kind))
    gallery.album.add_holes(f"{number}-holes", hole)
    facts = f"{100 * record.hole_share:.3g} % holes, {record.width} x {record.height}, crops: {record.crops}, "
    facts += f"{record.seconds:.2f} s"
    keys = (f"{number}-before", f"{number}-after", f"{number}-holes")
    ranks = {"share": record.hole_share, "seconds": record.seconds}
    return Case(record.input, _bucket(record.hole_share), "lgnet", (before.width, before.height), *keys, facts, ranks)


def _opened(path: Path, max_pixels: int) -> Picture:
    return decode(read_whole(path, file_limit(max_pixels)), path, max_pixels)


def _bucket(share: float) -> str:
    high = next(bound for bound in BOUNDS[1:] if share <= bound / 100 or bound == BOUNDS[-1])
    return f"{BOUNDS[BOUNDS.index(high) - 1]}-{high}"
