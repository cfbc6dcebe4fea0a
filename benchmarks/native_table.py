"""A result of `--native` as one table: a row a method, a column a figure."""

from typing import Any

from lgnet_cli.benchmarks.columns import NATIVE, Column
from lgnet_cli.benchmarks.document import Block, Cell, Document, Row

NOTHING = "n/a"

Found = dict[str, Any]

WAYS = {"lower": "lower is better", "higher": "higher is better", "nearest": "best near the photos' own"}


def native_document(found: Found, *, intervals: bool = False) -> Document:
    """The table with its definitions.

    Args:
        found: what `run_native` returns.
        intervals: print each mean's confidence interval beside it; otherwise only the page tells it, on pointing.
    """
    folder = found["folder"]
    lead = f"lgnet {found['lgnet']}, {found['created']}. {folder['photos']} photos of {folder['images']} at their own "
    lead += f"size; masks {folder['masks']}. Means over photos."
    facts = {"command": " ".join(found["command"]), "seed": str(found["seed"])}
    facts |= {method["name"]: method["source"] for method in found["methods"]}
    facts |= {"failed": f"{folder['failed']}, not in the means"} if folder["failed"] else {}
    head = ["method", *(f"{column.title} ({WAYS[column.better]})" for column in NATIVE)]
    rows = [
        Row(m["name"], [_cell(found, m, column, intervals) for column in NATIVE], apart=m["themselves"])
        for m in found["methods"]
    ]
    notes = ["Bold: the best, or what is nearest to the photos themselves."]
    defined = {_title(name): text for name, text in found["definitions"].items()}
    return Document("Whole photos at their own size", lead, facts, [Block("All figures", head, rows, notes)], defined)


def _title(name: str) -> str:
    return next((column.title for column in NATIVE if column.name == name), name)


def _cell(found: Found, method: dict[str, Any], column: Column, intervals: bool) -> Cell:
    value = found["means"][method["name"]][column.name]
    if value is None:
        return Cell(NOTHING)
    mean, low, high = (f"{value[key]:.{column.digits}f}" for key in ("mean", "low", "high"))
    best = not method["themselves"] and _off(found, method["name"], column) == _least_off(found, column)
    text = f"{mean} ({low} to {high})" if intervals else mean
    return Cell(text, best, f"interval {low} to {high}, {value['count']} photos")


def _least_off(found: Found, column: Column) -> float:
    names = [method["name"] for method in found["methods"] if not method["themselves"]]
    return min(_off(found, name, column) for name in names)


def _off(found: Found, name: str, column: Column) -> float:
    """How far from the best there could be: the less, the better. Of the number as it is printed, so that what reads
    the same ranks the same."""
    value = found["means"][name][column.name]
    if value is None:
        return float("inf")
    shown = round(float(value["mean"]), column.digits)
    if column.better == "nearest":
        own = next(found["means"][m["name"]][column.name] for m in found["methods"] if m["themselves"])
        return abs(shown - round(float(own["mean"]), column.digits)) if own else float("inf")
    return shown if column.better == "lower" else -shown
