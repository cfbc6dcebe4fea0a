"""What the network costs and how fast it could at best be: `python -m lgnet_cli.benchmarks.roofline [WEIGHTS]`.

Computed from the exported graph and the makers' data sheets. Nothing is measured: a real engine is slower.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lgnet_cli.engines.cost import Cost, cost_of
from lgnet_cli.engines.nvidia.profile import parse_profile
from lgnet_cli.engines.source import graph_for, open_source

BATCHES = (1, 32)
SIDE = 256


@dataclass(frozen=True)
class Sheet:
    """A GPU as its maker's data sheet has it: dense tensor-core rates with accumulation in float32."""

    name: str
    half: float  # FLOP/s in half
    single: float  # FLOP/s in TF32, which TensorRT uses for float32 products
    bandwidth: float  # bytes/s of its memory


SHEETS = (
    Sheet("RTX 4090", 165.2e12, 82.6e12, 1008e9),
    Sheet("A100 SXM 80 GB", 312e12, 156e12, 2039e9),
    Sheet("H100 SXM", 989.4e12, 494.7e12, 3350e9),
)


def floor(cost: Cost, sheet: Sheet) -> float:
    """Seconds that a call takes at least: the longer of its arithmetic and its unavoidable traffic."""
    arithmetic = cost.half_flops / sheet.half + cost.float_flops / sheet.single
    return max(arithmetic, cost.least_traffic / sheet.bandwidth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, nargs="?", help="as `lgnet build-engine` takes them")
    source = open_source(parser.parse_args().weights)
    with tempfile.TemporaryDirectory() as folder:
        graph = graph_for(source, "fp16", parse_profile("1", str(SIDE)), Path(folder))
        costs = {batch: cost_of(graph, batch, SIDE) for batch in BATCHES}
    console = Console()
    console.print(f"{source.name}, FP16 graph, {SIDE} x {SIDE}: computed from the graph, not measured", markup=False)
    for batch, cost in costs.items():
        console.print(
            f"batch {batch}: {cost.half_flops / 1e9:.1f} GFLOP in half, {cost.float_flops / 1e9:.1f} in float32; "
            f"at least {cost.least_traffic / 1e6:.1f} MB of traffic"
        )
    floors = {s.name: {str(b): round(1000 * floor(c, s), 4) for b, c in costs.items()} for s in SHEETS}
    table = Table("predicted floor, ms a call", *(f"batch {batch}" for batch in BATCHES))
    for name, values in floors.items():
        table.add_row(name, *(f"{value:.3f}" for value in values.values()))
    console.print(table)
    print(json.dumps({"source": source.name, "computed floor in ms a call": floors}))


if __name__ == "__main__":
    main()
