"""A latency result as tables: one for each width, size and batch, one row a back end."""

from typing import Any

from lgnet_cli.benchmarks.document import Block, Cell, Document, Row

TITLES = {  # column: how its head reads, decimals
    "cold_start_s": ("cold start, s", 2),
    "first_ms": ("first call, ms", 0),
    "median_ms": ("median, ms", 1),
    "p95_ms": ("p95, ms", 1),
    "p99_ms": ("p99, ms", 1),
    "images_s": ("images/s in memory", 2),
    "inpaint_images_s": ("images/s lgnet inpaint", 2),
    "engine_busy_percent": ("engine busy, %", 0),
    "main_memory_mib": ("main memory, MiB", 0),
    "worst": ("worst pixel, of 255", 0),
    "psnr_db": ("PSNR to PyTorch, dB", 1),
    "upstream_ratio": ("time / upstream's", 3),
    "reached_percent": ("floor reached, %", 1),
}


def latency_document(result: dict[str, Any]) -> Document:
    """The tables, with the machine in the header and a definition of each column."""
    peaks = result["peaks"]
    facts = {"command": " ".join(result["command"]), **result["machine"]}
    facts["versions"] = ", ".join(f"{name} {text}" for name, text in result["versions"].items())
    facts["measured matmul peak, fp32"] = f"{peaks['matmul_flop_s'] / 1e9:.1f} GFLOP/s"
    facts |= {name: f"{rate / 1e9:.1f} GFLOP/s" for name, rate in peaks.items() if name.startswith("cuda_")}
    facts["measured copy rate"] = f"{peaks['copy_bytes_s'] / 1e9:.1f} GB/s"
    facts["weights"] = f"{result['options']['weights']}; random ones of other widths"
    defined = {TITLES[column][0]: result["definitions"][column] for column in result["columns"]}
    blocks = [_block(configuration, result) for configuration in result["configurations"]]
    lead = f"lgnet {result['lgnet']}, {result['created']}. What is compared ran in turn (A B A B) on one machine."
    return Document("Latency of lgnet's back ends", lead, facts, blocks, defined)


def _block(configuration: dict[str, Any], result: dict[str, Any]) -> Block:
    where = {key: configuration[key] for key in ("width", "size", "batch")}
    rows = [row for row in result["rows"] if where.items() <= row.items()]
    columns = [column for column in result["columns"] if any(row.get(column) is not None for row in rows)]
    best = {column: _best(column, rows, result["better"]) for column in columns}
    shown = [_row(row, columns, best) for row in rows]
    head = ["back end", *(TITLES[column][0] for column in columns)]
    size = f"{where['size']} x {where['size']}"
    notes = [_cost(configuration, rows)]
    notes += [f"{TITLES[c][0]}: n/a, {how}." for c, how in result["missing"].items() if c not in columns]
    calls = [len(row["calls_s"]) for row in rows if "calls_s" in row]
    notes.append(f"{min(calls, default=0)} counted calls of each. Bold: the best of the rows that agree with PyTorch.")
    return Block(f"Width {where['width']}, {size}, batch {where['batch']}", head, shown, notes)


def _row(row: dict[str, Any], columns: list[str], best: dict[str, float | None]) -> Row:
    wrong = " (WRONG PICTURE)" if row.get("agrees") is False else ""
    label = f"{row['backend']}, {row['precision']}{wrong}" if "precision" in row else row["backend"]
    if "why" in row:
        return Row(label, [], why="cannot run here: " + "; ".join(line.strip() for line in row["why"].splitlines()))
    cells = []
    for column in columns:
        value = row.get(column)
        text = "n/a" if value is None else f"{value:.{TITLES[column][1]}f}"
        cells.append(Cell(text, value is not None and value == best[column] and row.get("agrees") is True))
    return Row(label, cells, apart=row["backend"].startswith("upstream"))


def _best(column: str, rows: list[dict[str, Any]], better: dict[str, str]) -> float | None:
    values = [row[column] for row in rows if row.get("agrees") is True and row.get(column) is not None]
    if column not in better or len(values) < 2:
        return None
    return float(min(values) if better[column] == "lower" else max(values))


def _cost(configuration: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    if configuration["flops"] is None:
        return "FLOP, bytes and the floor: n/a, needs PyTorch: pip install 'lgnet[torch]'."
    floors = sorted({f"{row['floor_ms']:.2f} ms" for row in rows if "floor_ms" in row})
    return (
        f"A call takes {configuration['flops'] / 1e9:.2f} GFLOP and at least {configuration['bytes'] / 1e6:.1f} MB of "
        f"weights and pixels; the floor on this machine is {' or '.join(floors) or 'n/a'}."
    )
