"""A GPU that fails for good in the middle of a batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakes import PaintEngine
from lgnet_cli.errors import DeviceLost, ExitCode
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import Report
from lgnet_cli.stages import Settings


class Dying(PaintEngine):
    """Fills four crops, and nothing after that."""

    def fill(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if sum(shape[0] for shape in self.calls) >= 4:
            raise DeviceLost("the GPU gives no more results")
        return super().fill(image, mask)


def test_the_batch_ends_and_the_rest_is_left_to_the_next_run(
    folders: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    """Until now each of the other images was tried, halved, and reported as failed."""
    images, masks = folders(12)
    out = tmp_path / "out"
    out.mkdir()
    summary, report = Summary(), Report(out)
    with pytest.raises(DeviceLost) as caught:
        run(make_plan(str(images), masks, out).pairs, Dying(), Settings(refine="none", batch=2), report, summary)
    report.close()
    assert caught.value.exit_code == ExitCode.MODEL_UNUSABLE
    assert summary.failed == 0
    assert len(list(out.glob("*.png"))) <= 4
    again, report = Summary(), Report(out)
    engine = PaintEngine()
    run(make_plan(str(images), masks, out).pairs, engine, Settings(refine="none", batch=2), report, again)
    report.close()
    assert (again.filled + again.skipped, again.failed) == (12, 0)
    assert again.filled == sum(shape[0] for shape in engine.calls) >= 8
    assert len(list(out.glob("*.png"))) == 12
