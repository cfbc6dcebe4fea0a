"""A quality result as tables in the paper's layout: one block a metric, one row a method, a column a bucket."""

from typing import Any

from lgnet_cli.benchmarks.columns import COLUMNS
from lgnet_cli.benchmarks.document import Block, Cell, Document, Row

NOTHING = "n/a"

PUBLISHED = "published: as printed in the paper, on its own photos and masks"


def title_of(column: str, result: dict[str, Any]) -> str:
    """A metric's name and which way is better."""
    return f"{_known(column)[0]} ({result['better'][column]} is better)"


def short_title(column: str) -> str:
    """A metric's name without its unit."""
    return _known(column)[0].partition(",")[0]


def text_of(column: str, value: float) -> str:
    """A value with the metric's decimals."""
    return f"{value:.{_known(column)[1]}f}"


def quality_document(result: dict[str, Any]) -> Document:
    """The tables, each with its definition below it."""
    facts = {"command": " ".join(result["command"]), "seed": str(result["seed"])}
    facts |= {_label(method): method["source"] for method in result["methods"]}
    lead = f"lgnet {result['lgnet']}, {result['created']}. Means over the images, by the share of each that is a hole."
    blocks = [_block(column, result) for column in result["columns"]]
    defined = {_known(column)[0]: text for column, text in result["definitions"].items()}
    return Document("Quality of fillings", lead, facts, blocks, defined)


def _known(column: str) -> tuple[str, int]:
    """A metric's name and decimals; a quality.json of another version may have metrics that this one does not."""
    return next(((c.title, c.digits) for c in COLUMNS if c.name == column), (column, 3))


def _label(method: dict[str, Any]) -> str:
    name = str(method["name"])
    return f"{name} (published)" if method["published"] and "published" not in name else name


def _block(column: str, result: dict[str, Any]) -> Block:
    best = {
        (published, bucket): _best(column, bucket, published, result)
        for published in (False, True)
        for bucket in result["buckets"]
    }
    rows = []
    for method in result["methods"]:
        cells = [_cell(column, bucket, method, best, result) for bucket in result["buckets"]]
        if method["published"] and all(cell.text == NOTHING for cell in cells):
            continue  # the paper does not have this metric
        rows.append(Row(_label(method), cells, apart=method["published"]))
    notes = [f"n/a: {result['missing'][column]}"] if column in result["missing"] else []
    notes += [f"Definition: {result['definitions'][column]}"] if column in result["definitions"] else []
    if any(row.apart for row in rows):
        notes.append(f"Bold: the best of the measured rows, and of the published ones ({PUBLISHED}).")
    return Block(title_of(column, result), ["method", *(f"{b} %" for b in result["buckets"])], rows, notes)


def _mean(column: str, bucket: str, method: str, result: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = ((result["means"].get(method) or {}).get(column) or {}).get(bucket)
    return found


def _cell(
    column: str, bucket: str, method: dict[str, Any], best: dict[tuple[bool, str], str | None], result: dict[str, Any]
) -> Cell:
    found = _mean(column, bucket, method["name"], result)
    if found is None:
        return Cell(NOTHING)
    hint = ""
    if found.get("low") is not None and found.get("high") is not None:
        low, high = (text_of(column, found[key]) for key in ("low", "high"))
        hint = f"interval {low} to {high}, {found.get('count')} images"
    text = text_of(column, found["mean"])
    return Cell(text, text == best[method["published"], bucket], hint)


def _best(column: str, bucket: str, published: bool, result: dict[str, Any]) -> str | None:
    """The best value as it is printed, so that all that read the same are bold; None where nothing is compared."""
    names = [method["name"] for method in result["methods"] if method["published"] == published]
    found = [_mean(column, bucket, name, result) for name in names]
    values = [one["mean"] for one in found if one]
    if len(values) < 2:
        return None
    return text_of(column, min(values) if result["better"][column] == "lower" else max(values))
