"""The floor is the longer of arithmetic and traffic."""

import pytest

from lgnet_cli.benchmarks.roofline import SHEETS, floor
from lgnet_cli.engines.cost import Cost


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_floor(sheet: object) -> None:
    half, single, bandwidth = sheet.half, sheet.single, sheet.bandwidth  # type: ignore[attr-defined]
    busy = Cost(int(2e-3 * half), int(1e-3 * single), int(1e-3 * bandwidth), 0, 0)
    assert floor(busy, sheet) == pytest.approx(3e-3)  # type: ignore[arg-type]
    hungry = Cost(int(1e-3 * half), 0, int(4e-3 * bandwidth), int(1e-3 * bandwidth), 0)
    assert floor(hungry, sheet) == pytest.approx(5e-3)  # type: ignore[arg-type]
