"""How long an engine takes: warm, for seconds and not for a count of calls, every batch size in turn; and how long it
takes at least, computed from its graph and from what the driver says of the GPU."""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lgnet_cli.engines.cost import Cost
from lgnet_cli.engines.machine import Gpu
from lgnet_cli.engines.protocol import Engine, Pixels
from lgnet_cli.engines.tensorrt import TensorRtEngine
from lgnet_cli.engines.verify import crops

TENSOR_FLOPS = {"7.5": 1024, "8.0": 2048, "8.6": 512, "8.7": 1024, "8.9": 512, "9.0": 4096, "10.0": 8192, "12.0": 512}
"""Half-precision operations of a multiprocessor a clock, sums in float32, by compute capability: the maker's peak
rates divided by multiprocessors and clock. For 8.6, 8.9 and 12.0 a GeForce's, half of what workstation cards have."""

FLOAT_FLOPS = {"7.5": 128, "8.0": 128}
"""Of float32, outside of tensor cores; 256 on all later."""


@dataclass(frozen=True)
class Pace:
    """How thoroughly to measure."""

    warm: float = 1.0  # seconds, while a GPU raises its clocks
    measure: float = 3.0  # seconds for each batch size
    batches: tuple[int, ...] = (1, 8, 16, 32)


@dataclass
class Times:
    """Of the calls at one batch size, in seconds."""

    wall: list[float] = field(default_factory=list)
    compute: list[float] = field(default_factory=list)  # of the device alone, by its own clock
    copies: list[float] = field(default_factory=list)  # in and out, likewise

    def summary(self) -> dict[str, Any]:
        """Milliseconds: median, 95th and 99th percentile of a call, and medians of what the device did."""
        wall = sorted(self.wall)
        at = {name: wall[min(len(wall) - 1, int(share * len(wall)))] for name, share in (("p95", 0.95), ("p99", 0.99))}
        found: dict[str, Any] = {"calls": len(wall), "median": statistics.median(wall), **at}
        if self.compute:
            found |= {"compute": statistics.median(self.compute), "copies": statistics.median(self.copies)}
        return {name: value if name == "calls" else round(1000 * value, 4) for name, value in found.items()}


def measure(engine: Engine, pace: Pace) -> dict[int, Times]:
    """{batch: times}, in turns of A B C A B C, so that a clock that falls falls for all."""
    inputs = {batch: _crops(batch) for batch in pace.batches}
    times = {batch: Times() for batch in pace.batches}
    ends = time.perf_counter() + pace.warm
    while time.perf_counter() < ends:
        for image, mask in inputs.values():
            engine.fill(image, mask)
    ends = time.perf_counter() + pace.measure * len(pace.batches)
    while not times[pace.batches[-1]].wall or time.perf_counter() < ends:
        for batch, (image, mask) in inputs.items():
            _call(engine, image, mask, times[batch])
    return times


def _call(engine: Engine, image: Pixels, mask: Pixels, times: Times) -> None:
    started = time.perf_counter()
    engine.fill(image, mask)
    times.wall.append(time.perf_counter() - started)
    if isinstance(engine, TensorRtEngine) and len(image) <= engine.info.batch:
        copied_in, computed, copied_out = engine.device_seconds(image, mask)
        times.compute.append(computed)
        times.copies.append(copied_in + copied_out)


def _crops(batch: int) -> tuple[Pixels, Pixels]:
    images, masks = (np.resize(a, (batch, *a.shape[1:])) for a in crops())
    return images, masks


def least_seconds(cost: Cost, gpu: Gpu) -> float | None:
    """Of a call: the longer of arithmetic and unavoidable traffic; None where the GPU's peak rates are not known."""
    half = TENSOR_FLOPS.get(gpu.capability, 0) * gpu.multiprocessors * gpu.clock
    single = FLOAT_FLOPS.get(gpu.capability, 256) * gpu.multiprocessors * gpu.clock
    if not half or not single or not gpu.bandwidth:
        return None
    return max(cost.half_flops / half + cost.float_flops / single, cost.least_traffic / gpu.bandwidth)
