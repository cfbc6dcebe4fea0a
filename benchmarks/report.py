"""`-o report/`: a result as Markdown, LaTeX, CSV and one self-contained HTML page; latency also as JSON.

Nothing is computed here but the order of rows and pictures: the numbers are those of the result.
"""

import csv
import io
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lgnet_cli.atomic import write_bytes
from lgnet_cli.benchmarks.document import Document, html, latex, markdown
from lgnet_cli.benchmarks.latency import Options, measure
from lgnet_cli.benchmarks.latency_tables import latency_document
from lgnet_cli.benchmarks.native_gallery import native_gallery
from lgnet_cli.benchmarks.native_table import native_document
from lgnet_cli.benchmarks.quality_gallery import quality_gallery
from lgnet_cli.benchmarks.quality_tables import quality_document, title_of
from lgnet_cli.errors import FileError
from lgnet_cli.escape import printable
from lgnet_cli.gallery.page import Gallery, file_table, page

NO_PLOTS = "<p>The plots are left out: matplotlib is not installed (pip install 'lgnet[bench]').</p>"


def run_latency(options: Options, as_json: bool, out: Path | None, command: list[str]) -> None:
    """`lgnet bench latency`: measure, print tables or JSON, and write the report if `out` is given."""
    show_latency(measure(options, command, say), as_json, out)


def show_latency(result: dict[str, Any], as_json: bool, out: Path | None) -> None:
    """Print a latency result as Markdown or JSON; write it into `out` if that is given. Raises FileError."""
    print(json.dumps(result) if as_json else markdown(latency_document(result)))
    if out:
        _saved(write_latency, result, out)


def save_quality(result: dict[str, Any], out: Path) -> None:
    """Write the report of a quality result beside its quality.json. Raises FileError."""
    _saved(write_quality, result, out)


def save_native(result: dict[str, Any], out: Path) -> None:
    """Write native.json and the report beside it. Raises FileError."""
    _saved(write_native, result, out)


def write_quality(result: dict[str, Any], folder: Path) -> None:
    """Write quality.md, .tex, .csv (the means) and .html into `folder`, beside the quality.json that they show.

    Args:
        result: as `lgnet bench quality` makes it; its pictures are paths below `folder`.
        folder: where to write; made if it is not there.

    Pictures that cannot be shown are named on the page, those whose path leads out of `folder` among them.

    Raises:
        OSError: a file cannot be written.
    """
    document = quality_document(result)
    gallery, lost = quality_gallery(result, folder)
    made = html(document)
    sections = {"Tables": made["Tables"], "Plots": _plots(result), **made}
    sections |= {"Not shown": file_table(lost)} if lost else {}
    columns = ("method", "published", "metric", "bucket", "mean", "low", "high", "count")
    _write(folder, "quality", document, sections, gallery, _csv(columns, _means(result)))


def write_native(result: dict[str, Any], folder: Path) -> None:
    """Write native.json, .md, .tex, .csv (a row a photo and method) and .html into `folder`.

    Args:
        result: as `lgnet bench quality --native` makes it; its pictures are paths below `folder`.
        folder: where to write; made if it is not there.

    Raises:
        OSError: a file cannot be written.
    """
    document = native_document(result)
    gallery, lost = native_gallery(result, folder)
    sections = html(document) | ({"Not shown": file_table(lost)} if lost else {})
    columns = ("method", "image", "seed", "mask_ratio", *result["columns"])
    _write(folder, "native", document, sections, gallery, _csv(columns, result["images"]))
    write_bytes(folder / "native.json", (json.dumps(result, indent=1) + "\n").encode())


def write_latency(result: dict[str, Any], folder: Path) -> None:
    """Write latency.json, .md, .tex, .csv and .html into `folder`, made if it is not there. Raises OSError."""
    document = latency_document(result)
    where = ("width", "size", "batch", "backend", "device", "precision")
    columns = (*where, *result["columns"], "floor_ms", "agrees", "why")
    rows = [{name: row.get(name) for name in columns} for row in result["rows"]]
    _write(folder, "latency", document, html(document), None, _csv(columns, rows))
    write_bytes(folder / "latency.json", (json.dumps(result, indent=1) + "\n").encode())


def _saved(write: Callable[[dict[str, Any], Path], None], result: dict[str, Any], out: Path) -> None:
    try:
        write(result, out)
    except OSError as error:
        raise FileError(f"{out}: the report cannot be written: {error.strerror}") from error
    say(f"the report: {out / result['kind']}.html")


def say(line: str) -> None:
    """A line of progress, apart from what can be piped on."""
    print(line, file=sys.stderr)


def _write(
    folder: Path, name: str, document: Document, sections: dict[str, str], gallery: Gallery | None, table: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"md": markdown(document), "tex": latex(document), "csv": table}
    texts["html"] = page(document.title, document.lead, sections, gallery)
    for suffix, text in texts.items():
        write_bytes(folder / f"{name}.{suffix}", text.encode())


def _plots(result: dict[str, Any]) -> str:
    if not find_spec("matplotlib"):
        return NO_PLOTS
    from lgnet_cli.benchmarks.plots import Curve, figure

    figures = []
    for column in result["columns"]:
        curves = []
        for number, method in enumerate(result["methods"]):
            found = result["means"].get(method["name"], {}).get(column) or {}
            points = [found.get(bucket) or {} for bucket in result["buckets"]]
            mean, low, high = ([point.get(key) for point in points] for key in ("mean", "low", "high"))
            if any(value is not None for value in mean):
                curves.append(Curve(method["name"], mean, low, high, method["published"], number))
        if curves:
            figures.append(figure(title_of(column, result), result["buckets"], curves))
    dashed = "Dashed: published by the paper, on its own photos and masks. " * any(
        m["published"] for m in result["methods"]
    )
    return f'<p>{dashed}Bars: the confidence interval of the mean.</p><div class="plots">{"".join(figures)}</div>'


def _means(result: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for method in result["methods"]:
        for column, buckets in result["means"].get(method["name"], {}).items():
            for bucket, value in (buckets or {}).items():
                named = {"method": method["name"], "published": method["published"], "metric": column, "bucket": bucket}
                rows.append(named | (value or {}))
    return rows


def _csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: printable(value) if isinstance(value, str) else value for key, value in row.items()})
    return text.getvalue()
