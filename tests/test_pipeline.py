"""The batch with an engine that paints: order, batches, faults, resume."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes import PaintEngine, SmallMemoryEngine
from lgnet_cli.errors import EngineError
from lgnet_cli.imaging.masks import MaskOptions
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.imaging.spool import Pair, Pairs
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import NAME, Record, Report
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]


def fill(
    pairs: Iterable[Pair], out: Path, engine: PaintEngine | None = None, **options: object
) -> tuple[Summary, list[Record | None], PaintEngine]:
    """Run a batch; (summary, records in the order they came, engine)."""
    engine, summary, records = engine or PaintEngine(), Summary(), []
    out.mkdir(exist_ok=True)
    report = Report(out)
    try:
        run(
            pairs,
            engine,
            Settings(**{"refine": "none", **options}),
            report,
            summary,
            lambda record, trace: records.append(record),
        )  # type: ignore[arg-type]
    finally:
        report.close()
    return summary, records, engine


def plan(images: Path, masks: Path, out: Path) -> Pairs:
    return make_plan(str(images), masks, out).pairs


def test_holes_are_painted_known_pixels_exact_and_order_kept(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(9)
    out = tmp_path / "out"
    summary, records, engine = fill(plan(images, masks, out), out)
    assert summary.filled == 9
    assert [Path(r.output).name for r in records if r] == [f"{i:03}.png" for i in range(9)]
    for name in (f"{i:03}.png" for i in range(9)):
        before, after = cv2.imread(str(images / name)), cv2.imread(str(out / name))
        hole = cv2.imread(str(masks / name), cv2.IMREAD_GRAYSCALE) > 0
        np.testing.assert_array_equal(after[~hole], before[~hole])
        assert (after[hole] == engine.colour[::-1]).all()


@pytest.mark.parametrize("batch", [1, 2, 4, 16])
def test_batches_are_filled_across_images(folders: Folders, tmp_path: Path, batch: int) -> None:
    images, masks = folders(6)
    out = tmp_path / "out"
    _, _, engine = fill(plan(images, masks, out), out, batch=batch)
    assert [shape[0] for shape in engine.calls] == {1: [1] * 6, 2: [2] * 3, 4: [4, 2], 16: [6]}[batch]
    assert len(list(out.glob("*.png"))) == 6


def test_crops_are_made_to_the_side_of_the_engine(tmp_path: Path, folders: Folders) -> None:
    images, masks = folders(2)
    engine = PaintEngine()
    engine.info = replace(engine.info, sizes="512", side=512)
    fill(plan(images, masks, tmp_path / "out"), tmp_path / "out", engine)
    assert engine.calls == [(1, 512, 512, 3)] * 2


def test_images_of_different_shapes_are_not_batched_together(tmp_path: Path, folders: Folders) -> None:
    images, masks = folders(3)
    cv2.imwrite(str(images / "001.png"), np.zeros((600, 500, 3), np.uint8))
    cv2.imwrite(str(masks / "001.png"), np.eye(600, 500, dtype=np.uint8) * 255)
    out = tmp_path / "out"
    summary, _, engine = fill(plan(images, masks, out), out, batch=8, mode="original")
    assert summary.filled == 3
    assert engine.calls == [(1, 512, 512, 3), (1, 768, 512, 3), (1, 512, 512, 3)]


def test_one_bad_file_is_recorded_and_the_batch_goes_on(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(5)
    (images / "001.png").write_bytes(b"not an image")
    (masks / "003.png").write_bytes((masks / "003.png").read_bytes()[:60])
    out = tmp_path / "out"
    pairs = plan(images, masks, out)
    (images / "002.png").unlink()  # after it was listed
    summary, records, _ = fill(pairs, out)
    assert (summary.filled, summary.failed) == (2, 3)
    errors = {Path(r.input).stem: r.error for r in records if r and r.error}
    assert errors.keys() == {"001", "002", "003"}
    assert str(images / "001.png") in errors["001"]
    assert "No such file" in errors["002"]
    assert str(masks / "003.png") in errors["003"]
    assert sorted(p.name for p in out.iterdir()) == ["000.png", "004.png", NAME]


def test_nothing_to_fill_copies_the_file_byte_for_byte(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    (images / "000.png").rename(images / "000.jpg")  # a PNG by content: even its wrong name is no reason to touch it
    cv2.imwrite(str(masks / "000.png"), np.zeros((260, 300), np.uint8))
    out = tmp_path / "out"
    summary, _, engine = fill(plan(images, masks, out), out)
    assert (summary.copied, engine.calls) == (1, [])
    assert (out / "000.jpg").read_bytes() == (images / "000.jpg").read_bytes()


def test_nothing_to_fill_in_another_format_is_converted(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    cv2.imwrite(str(masks / "000.png"), np.zeros((260, 300), np.uint8))
    out = tmp_path / "out"
    pairs = make_plan(str(images), masks, out, "BMP").pairs
    fill(pairs, out, format="BMP")
    np.testing.assert_array_equal(cv2.imread(str(out / "000.bmp")), cv2.imread(str(images / "000.png")))


def test_too_little_memory_halves_the_batch(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(7)
    out = tmp_path / "out"
    summary, _, engine = fill(plan(images, masks, out), out, SmallMemoryEngine(2), batch=7)
    assert summary.filled == 7
    assert max(shape[0] for shape in engine.calls) == 2


def test_an_engine_that_cannot_fill_one_fails_each_image_alone(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    summary, records, _ = fill(plan(images, masks, out), out, SmallMemoryEngine(0), batch=2)
    assert summary.failed == 2
    assert all("out of memory" in r.error and r.input in r.error for r in records if r)
    assert [p.name for p in out.iterdir()] == [NAME]


@pytest.mark.parametrize("error", [EngineError("out of memory"), MemoryError(), ValueError("a bug")])
def test_one_image_too_many_costs_the_others_nothing(folders: Folders, tmp_path: Path, error: Exception) -> None:
    """8 in a call, of which the sixth cannot be: 8, 4, 4, 2, 1, 1, 2 are tried, and it fails alone."""
    images, masks = folders(8)
    poison = cv2.imread(str(images / "005.png"))[0, 0, ::-1]

    class Picky(PaintEngine):
        tried: ClassVar[list[int]] = []

        def fill(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
            self.tried.append(len(image))
            if (image[:, 0, 0] == poison).all(axis=1).any():
                raise error
            return super().fill(image, mask)

    Picky.tried.clear()
    summary, records, _ = fill(plan(images, masks, tmp_path / "out"), tmp_path / "out", Picky(), batch=8)
    assert (summary.filled, summary.failed) == (7, 1)
    assert Picky.tried == [8, 4, 4, 2, 1, 1, 2]
    assert [Path(r.input).name for r in records if r and r.error] == ["005.png"]
    assert not (tmp_path / "out" / "005.png").exists()


def test_an_image_too_large_for_original_says_what_to_do(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    out = tmp_path / "out"
    summary, records, _ = fill(plan(images, masks, out), out, PaintEngine(max_pixels=1 << 16), mode="original")
    assert summary.failed == 1
    assert records[0] is not None
    assert "--hd crop" in records[0].error


def test_a_bug_is_recorded_with_its_trace(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    out = tmp_path / "out"
    out.mkdir()
    traces: list[str] = []
    broken = Settings(masks=MaskOptions(dilate=-5))  # the command line refuses this; inside it is a bug
    run(plan(images, masks, out), PaintEngine(), broken, Report(None), Summary(), lambda r, t: traces.append(t))
    assert "Traceback" in traces[0]


def test_second_run_skips_what_is_done_and_does_what_is_not(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(4)
    out = tmp_path / "out"
    pairs = plan(images, masks, out)
    (masks / "002.png").write_bytes(b"broken")
    first, _, _ = fill(pairs, out)
    assert (first.filled, first.failed) == (3, 1)
    mask = np.zeros((260, 300), np.uint8)
    mask[5:9, 5:9] = 255
    cv2.imwrite(str(masks / "002.png"), mask)  # mended
    (out / "001.png").unlink()  # lost
    (out / "003.png").write_bytes(b"cut")  # no longer what the report says
    second, _, engine = fill(pairs, out)
    assert (second.filled, second.skipped, len(engine.calls)) == (3, 1, 3)
    assert fill(pairs, out)[0].skipped == 4
    assert fill(pairs, out, overwrite=True)[0].filled == 4


def test_other_settings_or_a_changed_input_are_done_again(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    pairs = plan(images, masks, out)
    fill(pairs, out)
    assert fill(pairs, out, margin=80)[0].filled == 2
    assert fill(pairs, out, margin=80, batch=2)[0].skipped == 2  # which the output does not depend on
    assert fill(pairs, out, margin=80, format="TIFF")[0].filled == 2  # under the same name
    assert fill(pairs, out, margin=80)[0].filled == 2
    cv2.imwrite(str(images / "000.png"), np.zeros((260, 300, 3), np.uint8))
    again, _, _ = fill(pairs, out, margin=80)
    assert (again.filled, again.skipped) == (1, 1)


def test_a_report_line_cut_off_by_a_crash_is_done_again(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    pairs = plan(images, masks, out)
    fill(pairs, out)
    report = out / NAME
    report.write_bytes(report.read_bytes()[:-20])
    summary, _, _ = fill(pairs, out)
    assert (summary.filled, summary.skipped) == (1, 1)
    assert fill(pairs, out)[0].skipped == 2  # the new line was not glued to the broken one


def test_interrupted_batch_leaves_whole_files_and_goes_on(folders: Folders, tmp_path: Path) -> None:
    class Interrupted(PaintEngine):
        def fill(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
            if len(self.calls) == 12:
                raise KeyboardInterrupt
            return super().fill(image, mask)

    images, masks = folders(20)
    out = tmp_path / "out"
    pairs = plan(images, masks, out)
    with pytest.raises(KeyboardInterrupt):
        fill(pairs, out, Interrupted())
    assert all(cv2.imread(str(path)) is not None for path in out.glob("*.png"))
    assert not list(out.glob(".lgnet-*"))
    done = len(list(out.glob("*.png")))
    summary, _, engine = fill(pairs, out)
    assert (summary.skipped, len(engine.calls)) == (done, 20 - done)


def test_a_name_taken_by_a_folder_fails_alone(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    (out / "001.png").mkdir(parents=True)
    summary, records, _ = fill(plan(images, masks, out), out)
    assert (summary.filled, summary.failed) == (1, 1)
    assert records[1] is not None
    assert f"{out / '001.png'}: cannot be written: Is a directory" in records[1].error
    assert not list(out.glob(".lgnet-*"))


@pytest.mark.parametrize("mode", ["crop", "resize", "original"])
def test_pictures_of_a_pixel_are_filled_in_every_format(mode: str, tmp_path: Path) -> None:
    """Turned and one pixel wide or high, arrays get strides that libraries refuse."""
    pairs = []
    for width, height in ((1, 1), (1, 7), (7, 1)):
        for suffix in ("png", "tif", "webp", "bmp", "jpg"):
            for orientation in (1, 3, 6):
                exif = Image.Exif()
                exif[0x0112] = orientation
                wide, high = (height, width) if orientation == 6 and suffix != "bmp" else (width, height)
                image = tmp_path / f"{width}-{height}-{orientation}.{suffix}"
                mask = tmp_path / f"mask-{wide}-{high}.webp"
                Image.new("RGB", (width, height)).save(image, **({} if suffix == "bmp" else {"exif": exif}))
                Image.new("RGB", (wide, high), "white").save(mask, lossless=True)
                pairs.append(Pair(image, mask, tmp_path / "out" / image.name))
    summary, records, _ = fill(pairs, tmp_path / "out", mode=mode)
    assert [record.error for record in records if record and record.error] == []
    assert summary.filled == len(pairs)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rectangles=st.lists(st.tuples(*[st.integers(0, 690)] * 2, *[st.integers(1, 300)] * 2), min_size=1, max_size=6))
def test_any_mask_is_filled_completely_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, photo: Callable[..., np.ndarray], rectangles: list[tuple[int, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    image, mask = photo(500, 700), np.zeros((500, 700), np.uint8)
    for x, y, w, h in rectangles:
        mask[y : y + h, x : x + w] = 255
    cv2.imwrite(str(folder / "i.png"), image[:, :, ::-1])
    cv2.imwrite(str(folder / "m.png"), mask)
    fill([Pair(folder / "i.png", folder / "m.png", folder / "out" / "i.png")], folder / "out")
    after = cv2.imread(str(folder / "out" / "i.png"))[:, :, ::-1].astype(int)
    np.testing.assert_array_equal(after[mask == 0], image[mask == 0])
    # what a crop is enlarged by mixes with what is known at its rim; what lies deeper has the engine's colour
    deep = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5) > 12
    assert np.abs(after[deep] - PaintEngine().colour).max(initial=0) <= 1
