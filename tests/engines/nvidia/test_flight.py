"""Two batches on their way at a time, from the pipeline to the streams of a device that takes its time."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine, paint, plan_bytes
from fake_timed import TimedDriver

from lgnet_cli.engines.nvidia.profile import Profile
from lgnet_cli.engines.plan import Sidecar, here, write_plan
from lgnet_cli.engines.protocol import Ahead, Engine, EngineInfo, Pixels
from lgnet_cli.engines.tensorrt import TensorRtEngine, open_plan
from lgnet_cli.errors import EngineError
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import Report
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]
BATCH = 16


def opened(folder: Path, trt: FakeTensorRT, *, batch: int = BATCH, singles: bool = False) -> TensorRtEngine:
    shapes = [[n, 256, 256, 3] for n in (1, batch, batch)]
    data = plan_bytes(shapes, *([[[1, 256, 256, 3]] * 3] if singles else []))
    sidecar = Sidecar(
        plan_sha256=sha256(data).hexdigest(), plan_bytes=len(data), flavour="tensorrt", version="99.1", platform=here(),
        compute_capabilities=["8.9"], gpu="Fake GPU", cuda="13.0", portable=False,
        batch=[1, batch, batch], side=[256] * 3,
        tensors={}, precision="fp16", half_tensors=187, float_tensors=56, attention="fused", fused_kernels=18,
        onnx_sha256="0" * 64, weights="w.safetensors", weights_sha256="1" * 64, lgnet="0.1",
    )  # fmt: skip
    write_plan(folder / "x.plan", data, sidecar)
    return open_plan(folder / "x.plan", fake_machine(trt))


class OneAtATime:
    """An engine without `start`, as all were."""

    def __init__(self, engine: Engine) -> None:
        self.info, self.fill, self.close = engine.info, engine.fill, engine.close


def pictures(count: int) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(count)
    image = rng.integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
    return image, (rng.random((count, 256, 256)) > 0.5).astype(np.uint8) * 255


def run_batch(engine: Engine, images: Path, masks: Path, out: Path) -> tuple[Summary, list[str]]:
    """As the command does it where --batch is left out; what happened, and the names in the order they were done."""
    out.mkdir()
    report, summary, names = Report(out), Summary(), []
    pairs = make_plan(str(images), masks, out).pairs
    run(
        pairs,
        engine,
        Settings(refine="none", batch=0),
        report,
        summary,
        lambda record, trace: names.append(record.output),
    )  # type: ignore[union-attr]
    report.close()
    return summary, [Path(name).name for name in names]


def assert_filled(images: Path, masks: Path, out: Path, count: int) -> None:
    paths = sorted(out.glob("*.png"))
    assert len(paths) == count
    for path in paths:
        before, after = (cv2.imread(str(folder / path.name)) for folder in (images, out))
        known = cv2.imread(str(masks / path.name), cv2.IMREAD_GRAYSCALE) == 0
        np.testing.assert_array_equal(before[known], after[known])
        assert (before[~known] != after[~known]).any()


@pytest.mark.slow
def test_the_engine_is_busy_nearly_always(folders: Folders, tmp_path: Path) -> None:
    """200 images, by an engine that takes the next batch while it computes one, and by the same without that."""
    images, masks = folders(200)
    busy = {}
    for name in ("ahead", "one at a time"):
        driver = TimedDriver(**{"in": 0.02, "compute": 0.25, "out": 0.02})
        engine: Engine = opened(tmp_path, FakeTensorRT(driver))
        if name == "one at a time":
            engine = OneAtATime(engine)
        summary, _ = run_batch(engine, images, masks, tmp_path / name)
        assert summary.filled == 200
        assert len(driver.spans["compute"]) == 13  # batches of 16, without being told
        assert_filled(images, masks, tmp_path / name, 200)
        busy[name] = driver.busy()
    assert busy["ahead"] >= 0.95
    assert busy["one at a time"] < 0.9


def test_batches_are_on_their_way_together_and_come_back_in_any_order(tmp_path: Path) -> None:
    engine = opened(tmp_path, FakeTensorRT(FakeDriver()), batch=4)
    assert isinstance(engine, Ahead)
    assert engine.info.batch == 4
    given = [pictures(n) for n in (4, 3, 1, 2)]
    first, second = (engine.start(list(image), list(mask)) for image, mask in given[:2])
    np.testing.assert_array_equal(second.result(), paint(*given[1]))
    third, fourth = (engine.start(list(image), list(mask)) for image, mask in given[2:])
    for pending, pair in ((first, given[0]), (third, given[2]), (fourth, given[3]), (first, given[0])):
        np.testing.assert_array_equal(pending.result(), paint(*pair))
    np.testing.assert_array_equal(engine.fill(*pictures(9)), paint(*pictures(9)))  # more than both lanes take
    with pytest.raises(ValueError, match="5 images, for a plan that takes 1 to 4"):
        engine.start(*map(list, pictures(5)))
    pending = engine.start(*map(list, pictures(2)))
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        pending.result()
    with pytest.raises(EngineError, match="closed"):
        engine.start(*map(list, pictures(2)))


def test_pixels_are_copied_before_start_returns(tmp_path: Path) -> None:
    """The pipeline's crops may lie in memory that others use next."""
    engine = opened(tmp_path, FakeTensorRT(FakeDriver()), batch=4)
    image, mask = pictures(3)
    expected = paint(image, mask)
    pending = engine.start(list(image), list(mask))
    image[:], mask[:] = 0, 0
    np.testing.assert_array_equal(pending.result(), expected)


def test_a_batch_that_fails_does_not_take_the_other_with_it(tmp_path: Path) -> None:
    driver = FakeDriver()
    engine = opened(tmp_path, FakeTensorRT(driver), batch=4)
    image, mask = pictures(4)
    good = engine.start(list(image), list(mask))
    driver.fails.add("memcpy_dtoh_async")
    with pytest.raises(EngineError, match="illegal memory access"):
        engine.start(list(image), list(mask))
    driver.fails.clear()
    np.testing.assert_array_equal(good.result(), paint(image, mask))
    assert driver.stack() == []


def test_a_single_image_runs_in_a_profile_of_its_own(tmp_path: Path) -> None:
    trt = FakeTensorRT(FakeDriver())
    trt.driver.fails.add("capture")
    engine = opened(tmp_path, trt, batch=4, singles=True)
    for count in (1, 4, 1, 1, 1, 5):
        np.testing.assert_array_equal(engine.fill(*pictures(count)), paint(*pictures(count)))
    assert [shape[0] for shape in trt.batches] == [1, 4, 1, 1, 1, 4, 1]
    assert trt.profiles == [1, 0, 1, 1, 1, 0, 1]
    trt.fails.add("set_optimization_profile_async")
    with pytest.raises(EngineError, match="TensorRT: its profile 0 is refused"):
        engine.fill(*pictures(8))  # by both lanes, of which one is in that profile already
    trt.fails.clear()
    np.testing.assert_array_equal(engine.fill(*pictures(9)), paint(*pictures(9)))


def test_small_batches_are_sent_as_a_graph_from_their_third_on(tmp_path: Path) -> None:
    """The first as it is, as TensorRT wants it, the second captured; each stream has its own."""
    trt = FakeTensorRT(FakeDriver())
    engine = opened(tmp_path, trt, batch=16, singles=True)
    for count in (1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 1, 1):
        np.testing.assert_array_equal(engine.fill(*pictures(count)), paint(*pictures(count)))
    sent = [what for what, stream in trt.driver.events if stream == 1 and what in ("compute", "graph")]
    assert sent == ["compute", "graph", "graph", "compute", "graph", "graph", "compute"]
    assert engine.captured() == "yes"
    trt.driver.events.clear()
    for _ in range(6):
        np.testing.assert_array_equal(engine.fill(*pictures(16)), paint(*pictures(16)))
    assert {what for what, _ in trt.driver.events} == {"in", "compute", "out", "synchronize"}
    engine.close()
    assert trt.driver.graphs == 0


def test_what_cannot_be_captured_is_sent_as_it_is_and_said(tmp_path: Path) -> None:
    trt = FakeTensorRT(FakeDriver())
    trt.driver.fails.add("capture")
    engine = opened(tmp_path, trt, batch=4)
    assert engine.captured() == "not tried"
    for _ in range(8):
        np.testing.assert_array_equal(engine.fill(*pictures(2)), paint(*pictures(2)))
    assert "graph" not in {what for what, _ in trt.driver.events}
    assert engine.captured() == "no: the work cannot be captured (900)"


def test_a_plan_for_batches_is_built_for_single_images_too() -> None:
    sides = (256, 256, 512)
    assert Profile((1, 16, 16), sides).singles == Profile((1, 1, 1), sides)
    assert Profile((1, 1, 1), sides).singles is None
    assert Profile((4, 8, 16), sides).singles is None


class Sent:
    def __init__(self, image: Pixels, mask: Pixels, *, fails: bool) -> None:
        self.image, self.mask, self.fails = image, mask, fails

    def result(self) -> Pixels:
        if self.fails:
            raise EngineError("given up")
        return paint(self.image, self.mask)


class Flaky:
    """An engine of which every other `start` or result fails; `fill` never does."""

    def __init__(self, where: str) -> None:
        self.info = EngineInfo("flaky", "CPU", "fp32", "256", 1 << 20, "", batch=3)
        self.where, self.calls = where, 0

    def fill(self, image: Pixels, mask: Pixels) -> Pixels:
        return paint(image, mask)

    def start(self, images: list[Pixels], masks: list[Pixels]) -> Sent:
        self.calls += 1
        fails = self.calls % 2 == 1
        if fails and self.where == "start":
            raise EngineError("refused")
        return Sent(np.stack(images), np.stack(masks), fails=fails and self.where == "result")

    def close(self) -> None: ...


@pytest.mark.parametrize("where", ["start", "result", "nowhere"])
def test_what_fails_on_its_way_is_filled_in_a_call_of_its_own(where: str, folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(10)
    engine = Flaky(where)
    summary, names = run_batch(engine, images, masks, tmp_path / "out")
    assert (summary.filled, summary.failed) == (10, 0)
    assert names == sorted(names)
    assert engine.calls == 4
    assert_filled(images, masks, tmp_path / "out", 10)
