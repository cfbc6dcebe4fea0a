"""The real command on real files: what it writes, says and returns."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from lgnet_cli.report import NAME

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def read(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def check_filled(before: np.ndarray, after: np.ndarray, hole: np.ndarray) -> None:
    """Known pixels equal, nearly all holes changed."""
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).mean() > 0.3


def test_folders_of_pngs(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(3)
    (images / "sub").mkdir()
    (masks / "sub").mkdir()
    (images / "002.png").rename(images / "sub" / "002.png")
    (masks / "002.png").rename(masks / "sub" / "002.png")
    out = tmp_path / "out"
    done = lgnet("inpaint", images, masks, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "back end: onnxruntime, the default on a CPU" in done.stderr
    assert "3 filled" in done.stderr
    for name in ("000.png", "001.png", "sub/002.png"):
        check_filled(read(images / name), read(out / name), read(masks / name) > 0)
    assert [r["status"] for r in lines(out)] == ["filled"] * 3
    first = next(r for r in lines(out) if r["input"] == str(images / "000.png"))  # they stand as they were finished
    assert first["hole_share"] == pytest.approx(50 * 70 / (260 * 300), abs=1e-6)
    again = lgnet("inpaint", images, masks, "-o", out, "--json")
    assert json.loads(again.stdout)["skipped"] == 3
    assert again.stderr == ""


KINDS = {
    "grey.png": ("L", {}), "grey-alpha.png": ("LA", {}), "rgb.png": ("RGB", {}), "rgba.png": ("RGBA", {}),
    "palette.png": ("P", {}), "bit.png": ("1", {}), "rgb.bmp": ("RGB", {}), "rgb.tif": ("RGB", {}),
    "cmyk.tif": ("CMYK", {}), "rgba.tif": ("RGBA", {}), "lossless.webp": ("RGBA", {"lossless": True, "exact": True}),
}  # fmt: skip


def test_every_lossless_kind_keeps_its_known_pixels(tmp_path: Path, lgnet: Command) -> None:
    """Written and compared by Pillow, which is not what most of them went through."""
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    rng = np.random.default_rng(0)
    for name, (mode, options) in KINDS.items():
        noise = Image.fromarray(rng.integers(0, 256, (270, 300, 4), dtype=np.uint8))
        rgb, ink = noise.convert("RGB"), Image.frombytes("CMYK", (300, 270), noise.tobytes())
        special = {"P": rgb.quantize(64), "CMYK": ink, "RGBA": noise, "LA": noise.convert("LA")}
        picture = special.get(mode) or rgb.convert(mode)
        picture.save(images / name, **options)
    for name, shape in {"deep.png": (270, 300, 3), "deep-grey.png": (270, 300), "deep.tiff": (270, 300, 3)}.items():
        cv2.imwrite(str(images / name), rng.integers(0, 65536, shape, dtype=np.uint16))
    hole = np.zeros((270, 300), bool)
    hole[100:160, 90:200] = True
    cv2.imwrite(str(tmp_path / "mask.png"), hole.astype(np.uint8) * 255)
    done = lgnet("inpaint", images, tmp_path / "mask.png", "-o", out)
    assert done.returncode == 0, done.stderr
    for name, (mode, _) in KINDS.items():
        target = {"P": "RGB", "1": "L"}.get(mode, mode)
        with Image.open(images / name) as source, Image.open(out / name) as result:
            assert result.mode == target
            before, after = np.asarray(source.convert(target)), np.asarray(result)
        np.testing.assert_array_equal(after[~hole], before[~hole], err_msg=name)
        if mode.endswith("A"):
            np.testing.assert_array_equal(after[..., -1], before[..., -1], err_msg=name)
        assert (after[hole] != before[hole]).any(), name
    for name in ("deep.png", "deep-grey.png", "deep.tiff"):
        assert read(out / name).dtype == np.uint16
        check_filled(read(images / name), read(out / name), hole)


def test_jpeg_stays_jpeg_with_profile_exif_and_orientation(
    tmp_path: Path, lgnet: Command, photo: Callable[..., np.ndarray]
) -> None:
    upright = Image.fromarray(photo(300, 400))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9003] = "Maker", 6, "2024:01:01 10:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    upright.transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif, icc_profile=profile
    )
    mask = np.zeros((300, 400), np.uint8)
    mask[200:250, 20:100] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert lgnet("inpaint", tmp_path / "a.jpg", tmp_path / "mask.png", "-o", tmp_path / "b.jpg").returncode == 0
    with Image.open(tmp_path / "b.jpg") as after:
        assert (after.format, after.size) == ("JPEG", (400, 300))
        assert after.info["icc_profile"] == profile
        assert after.getexif()[0x010F] == "Maker"
        assert after.getexif()[0x0112] == 1
        off = np.abs(np.asarray(after).astype(int) - np.asarray(upright))[mask == 0]
    assert off.mean() < 4  # grey levels: noise through JPEG at 98 and again at 95; turned wrongly it is off by over 40
    assert not list(tmp_path.glob("*.jsonl"))  # one file to one file writes nothing beside it


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "said"),
    [
        ("", ["none", "masks"], 2, "none: no such file or folder"),
        ("", ["images", "none"], 2, "none: no such mask file or folder"),
        ("empty", ["images", "masks"], 4, "no image there"),
        ("unmatched", ["images", "masks"], 4, "image without a mask (1)"),
        ("half", ["images", "masks"], 2, "--allow-missing"),
        ("unused", ["images", "masks"], 2, "mask without an image (1)"),
        ("text", ["images", "masks"], 2, "not an image lgnet reads"),
        ("", ["images", "masks", "--backend", "onnx"], 2, "no back end is called"),
        ("", ["images", "masks", "--engine", "none.onnx"], 5, "none.onnx: no such file"),
        ("", ["images", "masks", "--weights", "none.safetensors"], 5, "none.safetensors: cannot be read"),
        ("", ["images", "masks", "--weights", "a", "--engine", "b"], 2, "exclude each other"),
        ("", ["images", "masks", "--quality", "101"], 2, "--quality"),
        ("size", ["images", "masks"], 3, "--resize-masks"),
        ("broken", ["images", "masks"], 3, "001.png: damaged or cut off"),
        ("occupied", ["images", "masks"], 2, "--overwrite replaces it"),
    ],
)  # fmt: skip
def test_what_goes_wrong_has_its_code_and_its_words(
    folders: Folders, tmp_path: Path, lgnet: Command, prepare: str, arguments: list[str], code: int, said: str
) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    if prepare in ("empty", "unmatched"):
        for file in [*images.iterdir(), *masks.iterdir()]:
            file.unlink()
    if prepare == "unmatched":
        cv2.imwrite(str(images / "a.png"), np.zeros((9, 9), np.uint8))
    if prepare == "half":
        (masks / "001.png").unlink()
    if prepare == "unused":
        (masks / "009.png").write_bytes((masks / "000.png").read_bytes())
    if prepare == "text":
        (images / "readme.txt").write_text("hello")
    if prepare == "size":
        cv2.imwrite(str(masks / "000.png"), np.full((9, 9), 255, np.uint8))
    if prepare == "broken":
        (images / "001.png").write_bytes((images / "001.png").read_bytes()[:5000])
    if prepare == "occupied":
        out.mkdir()
        (out / "000.png").write_text("precious")
    done = lgnet("inpaint", *arguments, "-o", out, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    if code != 3:
        assert [p.read_text() for p in out.glob("*")] == (["precious"] if prepare == "occupied" else [])
    else:
        assert sorted(r["status"] for r in lines(out)) == ["failed", "filled"]


def test_allow_missing_fills_the_rest(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(2)
    (masks / "001.png").rename(masks / "other.png")
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--allow-missing")
    assert done.returncode == 0
    assert str(images / "001.png") in done.stderr
    assert str(masks / "other.png") in done.stderr
    assert [r["input"] for r in lines(tmp_path / "out")] == [str(images / "000.png")]


def test_mask_options_reach_the_masks(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    hole = read(masks / "000.png") > 0
    cv2.imwrite(str(masks / "000.png"), cv2.resize(np.where(hole, 60, 99).astype(np.uint8), (600, 520)))
    options = ["--mask-polarity", "black-hole", "--mask-threshold", "80", "--dilate", "3", "--resize-masks"]
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "out", *options).returncode == 0
    before, after = read(images / "000.png"), read(tmp_path / "out" / "000.png")
    changed = (before != after).any(axis=2)
    grown = cv2.dilate(hole.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))) > 0
    assert not changed[~grown].any()
    assert changed[cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0].mean() > 0.9


def test_format_glob_and_dry_run(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(3)
    out = tmp_path / "out"
    arguments = [
        "inpaint",
        f"{images}/00[12].png",
        masks,
        "-o",
        out,
        "--format",
        "webp",
    ]  # the third mask may stay unused
    dry = lgnet(*arguments, "--dry-run")
    assert dry.stdout.splitlines() == [f"{images}/{n}.png + {masks}/{n}.png -> {out}/{n}.webp" for n in ("001", "002")]
    assert not out.exists()
    assert lgnet(*arguments).returncode == 0
    assert (out / "001.webp").read_bytes()[8:12] == b"WEBP"


def test_out_inside_images_is_refused(folders: Folders, lgnet: Command) -> None:
    images, masks = folders(1)
    for out in (images, images / "out", masks / "out"):
        done = lgnet("inpaint", images, masks, "-o", out)
        assert done.returncode == 2
        assert "lies inside it" in done.stderr
    assert len(list(images.iterdir())) == 1


def test_odd_names(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    odd = os.fsencode("new\nline ü ") + b"\xff"
    for folder in (images, masks):
        (folder / "000.png").rename(folder / os.fsdecode(odd + b".png"))
    command = [Path(sys.executable).with_name("lgnet"), "inpaint", images, masks, "-o", tmp_path / "out"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert os.fsencode(tmp_path / "out") + b"/" + odd + b".png" in [
        os.fsencode(p) for p in (tmp_path / "out").iterdir()
    ]
    assert lines(tmp_path / "out")[0]["status"] == "filled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_exits_130_leaves_whole_files_and_goes_on(
    folders: Folders, tmp_path: Path, lgnet: Command, number: signal.Signals
) -> None:
    images, masks = folders(40)
    out = tmp_path / "out"
    command = [Path(sys.executable).with_name("lgnet"), "inpaint", images, masks, "-o", out]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "goes on where it stopped" in said
    written = {path: path.read_bytes() for path in out.glob("*.png")}
    assert 3 <= len(written) < 40
    assert not list(out.glob(".lgnet-*"))
    assert lgnet("inpaint", images, masks, "-o", out).returncode == 0
    assert len(list(out.glob("*.png"))) == 40
    assert all(path.read_bytes() == content for path, content in written.items())


def test_verbose_shows_the_traceback_and_nothing_else_does(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    arguments = ["inpaint", images, masks, "-o", tmp_path / "out", "--engine", __file__]
    assert "Traceback" not in lgnet(*arguments).stderr
    assert "Traceback" in lgnet(*arguments, "--verbose").stderr


def test_shards_together_are_the_whole(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(5)
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "whole").returncode == 0
    out = tmp_path / "out"
    done = [
        json.loads(lgnet("inpaint", images, masks, "-o", out, "--shard", f"{i}/2", "--json").stdout) for i in (1, 2)
    ]
    assert sum(summary["filled"] for summary in done) == 5
    assert {p.name: p.read_bytes() for p in out.glob("*.png")} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole").glob("*.png")
    }
    assert json.loads(lgnet("inpaint", images, masks, "-o", out, "--json").stdout)["skipped"] == 5
    assert lgnet("inpaint", images, masks, "-o", out, "--shard", "3/2").returncode == 2


def test_every_command_has_an_example_in_its_help(lgnet: Command) -> None:
    commands = [["inpaint"], ["weights", "import"], ["weights", "export"], ["weights", "show"], ["weights", "list"]]
    commands += [["bench"], ["bench", "latency"], ["bench", "quality"], ["train"], ["masks", "make"], ["masks", "find"]]
    commands += [["build-engine"], ["doctor"]]
    commands += [["bench", "pipeline"]]
    for command in commands:
        assert f"lgnet {' '.join(command)}" in lgnet(*command, "--help").stdout.split("Example:")[1]
    assert "130 interrupted" in " ".join(lgnet("--help").stdout.split())


def test_an_import_that_a_signal_interrupts_is_no_bug() -> None:
    """OpenCV's and ONNX Runtime's raise ImportError then."""
    code = """
import os, signal
from lgnet_cli.errors import ExitCode
from lgnet_cli.interruption import interrupt_on_signals
from lgnet_cli.main import named
assert named(ImportError("initialization failed")).exit_code == ExitCode.UNEXPECTED
interrupt_on_signals("goes on")
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print(named(ImportError("initialization failed")).exit_code.value)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("130\n", "")


def test_refinements_differ_and_say_how_long_they_took(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    results = {}
    for refine in ("texture", "tone", "none"):
        done = lgnet("inpaint", images, masks, "-o", tmp_path / refine, "--refine", refine, "--json")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["refine_seconds"] > 0) == (refine != "none")
        results[refine] = read(tmp_path / refine / "000.png")
        check_filled(read(images / "000.png"), results[refine], read(masks / "000.png") > 0)
    assert (results["tone"] != results["none"]).any()
    default = lgnet("inpaint", images, masks, "-o", tmp_path / "default")
    assert "s an image" in default.stderr  # refining
    np.testing.assert_array_equal(read(tmp_path / "default" / "000.png"), results["texture"])


def test_another_refinement_or_seed_is_done_again(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    command = ["inpaint", images, masks, "-o", tmp_path / "out", "--json"]
    for more in ([], ["--refine", "tone"], ["--refine", "texture", "--seed", 3]):
        assert json.loads(lgnet(*command, *more).stdout)["filled"] == 1
        assert json.loads(lgnet(*command, *more).stdout)["skipped"] == 1


def test_candidates_are_files_of_their_own_with_a_page(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(2)
    out = tmp_path / "out"
    done = lgnet("inpaint", images, masks, "-o", out, "--candidates", 3)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.glob("*.png")) == [f"00{i}.{n}.png" for i in (0, 1) for n in (1, 2, 3)]
    assert "6 filled" in done.stderr
    page = (out / "lgnet-report.html").read_text()
    assert all(f"00{i}.{n}.png" in page for i in (0, 1) for n in (1, 2, 3))
    assert sorted({line["seed"] for line in lines(out)}) == [0, 1, 2]
    single = lgnet("inpaint", images / "000.png", masks / "000.png", "-o", tmp_path / "a.png", "--candidates", 2)
    assert (single.returncode, "give a folder" in single.stderr) == (2, True)


def test_a_photo_taken_as_its_own_mask_is_refused(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    """By its name before anything is done; a copy of it, or another link to the file, when it is read."""
    images, masks = folders(2)
    done = lgnet("inpaint", images, images, "-o", tmp_path / "out")
    assert (done.returncode, "--mask-from alpha" in done.stderr) == (2, True), done.stderr
    (masks / "000.png").write_bytes((images / "000.png").read_bytes())
    (masks / "001.png").unlink()
    os.link(images / "001.png", masks / "001.png")
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out")
    assert (done.returncode, done.stderr.count("is the photo itself")) == (3, 2), done.stderr
    assert not list((tmp_path / "out").glob("*.png"))
    cut_out = np.dstack([read(images / "000.png"), np.full((260, 300), 255, np.uint8)])
    cut_out[90:120, 80:160, 3] = 0
    cv2.imwrite(str(images / "000.png"), cut_out)
    done = lgnet("inpaint", images / "000.png", images / "000.png", "-o", tmp_path / "a.png", "--mask-from", "alpha")
    assert done.returncode == 0, done.stderr


def test_label_maps_and_masks_of_stored_pixels_reach_the_command(
    folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(1)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(images / "000.png").save(images / "000.png", exif=exif)
    hole = read(masks / "000.png") > 0
    cv2.imwrite(str(masks / "000.png"), hole.astype(np.uint8) * 2)
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out")
    assert (done.returncode, "000.png: has marks, but no hole" in done.stderr) == (3, True)
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--mask-values", "2")
    assert (done.returncode, "--mask-drawn-on stored" in done.stderr) == (0, True), done.stderr
    assert "--mask-drawn-on" in str(lines(tmp_path / "out")[-1]["notes"])
    stored = ["--mask-values", "2", "--mask-drawn-on", "stored"]
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out", *stored)
    assert (done.returncode, "note" in done.stderr) == (0, False), done.stderr
    upright = np.asarray(Image.open(images / "000.png"))[::-1, ::-1]
    changed = (np.asarray(Image.open(tmp_path / "out" / "000.png")) != upright).any(axis=2)
    assert not changed[~hole[::-1, ::-1]].any()
    assert changed[hole[::-1, ::-1]].mean() > 0.9
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--mask-values", "red").returncode == 2


@pytest.mark.parametrize(("arguments", "said"), [
    (["images/000.png", "masks/000.png", "-o", "s.gif"], "writes no .gif files"),
    (["images/000.png", "masks/000.png", "-o", "s.JXL"], "writes no .jxl files"),
    (["images/000.png", "masks/000.png", "-o", "s.jpg", "--format", "png"], "--format asks for PNG"),
    (["", "masks", "-o", "out"], "argument 2 is empty"), (["images", " ", "-o", "out"], "argument 3 is empty"),
    (["images", "masks", "-o", ""], "argument 5 is empty"), (["images", "masks", "--out="], "argument 4 is empty"),
])  # fmt: skip
def test_what_an_argument_cannot_mean_is_refused(
    arguments: list[str], said: str, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    folders(1)
    before = sorted(tmp_path.rglob("*"))
    done = lgnet("inpaint", *arguments, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_format_and_a_name_that_agree_are_taken(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    arguments = ("inpaint", images / "000.png", masks / "000.png", "-o")
    assert lgnet(*arguments, tmp_path / "a.tif", "--format", "tiff").returncode == 0
    (tmp_path / "s.gif").mkdir()  # a folder all the same
    assert lgnet(*arguments, tmp_path / "s.gif").returncode == 0
    assert (tmp_path / "s.gif" / "000.png").exists()


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "lgnet_cli", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count(".")) == (0, 2)
