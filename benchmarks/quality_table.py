"""A quality run's tables as the papers lay them out: a block a metric, a row a method, a column a bucket. Markdown."""

import json
from typing import Any

from lgnet_cli.benchmarks.columns import COLUMNS

Found = dict[str, Any]


def tables(found: Found, *, intervals: bool = True) -> str:
    """The whole of what `lgnet bench quality` prints.

    Args:
        found: what `run_quality` returns.
        intervals: show each mean's confidence interval beside it.
    """
    titles = {column.name: column for column in COLUMNS}
    parts = [_head(found)]
    for name in found["columns"]:
        arrow = "higher" if found["better"][name] == "higher" else "lower"
        heading = f"{titles[name].title} ({arrow} is better)"
        parts.append(_block(found, name, heading, titles[name].digits, intervals))
    return "\n\n".join([*parts, _definitions(found)]) + "\n"


def _head(found: Found) -> str:
    folder = found["folder"]
    lines = [f"{folder['photos']} photos of {folder['images']} at {folder['size']} x {folder['size']}, "
             f"masks {folder['masks']}; lgnet {found['lgnet']}, {found['created']}"]  # fmt: skip
    lines += [f"- {m['name']}: {m['source']}" for m in found["methods"] if not m["published"]]
    published = [m["source"] for m in found["methods"] if m["published"]]
    lines += [f"- (published): {published[0]}"] if published else []
    lines += [f"- failed: {folder['failed']}, not in the means"] if folder["failed"] else []
    return "\n".join(lines)


def _block(found: Found, name: str, heading: str, digits: int, intervals: bool) -> str:
    if not any(cell for cells in found["means"].values() for cell in cells[name].values()):
        return f"{heading}: n/a"
    rows = [f"| {heading} | " + " | ".join(f"{bucket} %" for bucket in found["buckets"]) + " |"]
    rows.append("|---" * (len(found["buckets"]) + 1) + "|")
    best = {bucket: _best(found, name, bucket) for bucket in found["buckets"]}
    for method in found["methods"]:
        cells = found["means"][method["name"]][name]
        shown = [_cell(cells[bucket], digits, intervals, best[bucket], method["published"]) for bucket in best]
        rows.append(f"| {method['name']} | " + " | ".join(shown) + " |")
    return "\n".join(rows)


def _best(found: Found, name: str, bucket: str) -> float | None:
    """Of the rows measured here: published ones are of other photos."""
    cells = [found["means"][m["name"]][name][bucket] for m in found["methods"] if not m["published"]]
    means = [cell["mean"] for cell in cells if cell]
    return (max if found["better"][name] == "higher" else min)(means, default=None)


def _cell(cell: dict[str, Any] | None, digits: int, intervals: bool, best: float | None, published: bool) -> str:
    if cell is None:
        return "n/a"
    shown = f"{cell['mean']:.{digits}f}"
    if not published and best is not None and shown == f"{best:.{digits}f}":
        shown = f"**{shown}**"
    if intervals and cell["low"] is not None:
        shown += f" ({cell['low']:.{digits}f} to {cell['high']:.{digits}f})"
    return shown


def _definitions(found: Found) -> str:
    lines = [f"- {name}: {text}" for name, text in found["definitions"].items()]
    for how in dict.fromkeys(found["missing"].values()):
        lines.append(f"- n/a, {', '.join(name for name, its in found['missing'].items() if its == how)}: {how}")
    return "\n".join(lines)


def as_json(found: Found) -> str:
    """The result of `run_quality` or `run_native` in a line."""
    return json.dumps(found)
