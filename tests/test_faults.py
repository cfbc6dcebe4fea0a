"""What machines and people do to a batch while it runs. The real command, unless a fault needs an engine that waits."""

import json
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from mutants import mutants

from fakes import PaintEngine
from lgnet_cli.errors import FileError
from lgnet_cli.imaging.files import decode
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.imaging.reading import read_whole
from lgnet_cli.lock import NAME as LOCK
from lgnet_cli.pipeline import Summary, run
from lgnet_cli.report import NAME, Record, Report
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
LGNET = str(Path(sys.executable).with_name("lgnet"))


def visible(out: Path) -> dict[str, bytes]:
    """{name: content} of what a user sees in a flat OUT."""
    return {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith((".", "lgnet-report"))}


def hidden(out: Path) -> list[str]:
    return [p.name for p in out.rglob(".lgnet-*")]


def records(out: Path) -> dict[str, dict[str, object]]:
    """{output's name: its last record}."""
    lines = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
    return {Path(r["output"]).name: r for r in lines}


def painted(images: Path, masks: Path, out: Path, engine: PaintEngine | None = None) -> tuple[Summary, list[Record]]:
    """Run the batch in this process; traces of unexpected errors fail the test."""
    done: list[Record] = []
    traces: list[str] = []
    out.mkdir(exist_ok=True)
    report, summary = Report(out), Summary()

    def on_done(record: Record | None, trace: str) -> None:
        done.extend([record] if record else [])
        traces.extend([trace] if trace else [])

    run(
        make_plan(str(images), masks, out).pairs,
        engine or PaintEngine(),
        Settings(refine="none"),
        report,
        summary,
        on_done,
    )
    report.close()
    assert traces == []
    return summary, done


def processor_seconds(pid: int) -> float:
    """Of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended(running: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str, float]:
    """Send it a signal: its exit code, all it said, and the processor time that it took from then on, seconds."""
    assert running.stderr is not None
    before = processor_seconds(running.pid)
    os.kill(running.pid, number)  # not send_signal, which looks first whether it has ended, and then it is gone
    said = running.stderr.read()
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    return running.returncode, said, used.ru_utime + used.ru_stime - before


@pytest.mark.parametrize("kills", [7, pytest.param(50, marks=pytest.mark.slow)])
def test_ended_at_any_moment_nothing_is_partial_and_the_next_run_completes(
    folders: Folders, tmp_path: Path, lgnet: Command, kills: int
) -> None:
    images, masks = folders(12)
    started = time.perf_counter()
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "whole").returncode == 0
    length, whole, rng = time.perf_counter() - started, visible(tmp_path / "whole"), random.Random(kills)
    seen, amid, recognised, out = 0, 0, 0, tmp_path / "0"
    for i in range(4 * kills):
        if seen >= kills and amid and recognised:  # by chance all may fall before or after the work
            break
        number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
        command = [LGNET, "inpaint", images, masks, "-o", out]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            time.sleep(rng.uniform(0, length))
            code, said, seconds = ended(running, number)
        recognised += "the run before was killed" in said
        now = visible(out) if out.exists() else {}
        if number != signal.SIGKILL:  # which ends Python itself before the command has begun, and after it is through
            amidst = "back end" in said and len(now) < len(whole)
            assert code in ((130,) if amidst else (0, 130, -number)) or "Fatal Python error: init" in said, said
            assert code != 130 or "interrupted" in said or not said.strip()  # typer's own, before there is a command
            assert seconds < 2
        assert all(whole[name] == content for name, content in now.items())
        amid += 0 < len(now) < len(whole)
        seen += 1
        if len(now) == len(whole):
            out = tmp_path / str(i + 1)
    done = lgnet("inpaint", images, masks, "-o", out)
    recognised += "the run before was killed" in done.stderr
    assert (done.returncode, visible(out), hidden(out)) == (0, whole, []), done.stderr
    assert seen >= kills
    assert amid, "no kill fell amid the work: nothing was tested"
    assert recognised, "no killed run was recognised by the next"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_even_a_long_call_of_the_engine(tmp_path: Path, lgnet: Command, number: signal.Signals) -> None:
    """128 crops in one call take many seconds here, and no handler of Python's own runs meanwhile."""
    image, mask = np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), dtype=np.uint8), np.zeros((2400, 2400))
    for i in range(32):
        y, x = 100 + 400 * (i // 6), 100 + 400 * (i % 6)
        mask[y : y + 30, x : x + 30] = 255
    for name in ("1.png", "2.png", "3.png", "4.png"):
        cv2.imwrite(str(tmp_path / name), image)
    cv2.imwrite(str(tmp_path / "mask.bmp"), mask)
    command = [LGNET, "inpaint", tmp_path / "*.png", tmp_path / "mask.bmp", "-o", tmp_path / "out", "--batch", "128"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "back end" in running.stderr.readline()
    time.sleep(3)  # decoded by then
    sent = time.perf_counter()
    running.send_signal(number)
    said = running.communicate(timeout=60)[1]
    # 1.5 s of grace and the end of the process; the rest is for machines that others use too. The call takes over 5 s.
    assert time.perf_counter() - sent < 4
    assert running.returncode == 130
    assert "goes on where it stopped" in said
    assert list(visible(tmp_path / "out")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`small_disk(options)`: a tmpfs mounted, or mounted again, with these options; skips where that is refused."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        command = ["mount", "-t", "tmpfs", "-o", f"{'remount,' if mounted else ''}{options}", "tmpfs", place]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a tmpfs is refused here: {done.stderr.strip()}")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_fails_images_by_name_and_loses_nothing(
    folders: Folders, tmp_path: Path, lgnet: Command, small_disk: Callable[[str], Path]
) -> None:
    images, masks = folders(8)
    out = small_disk("size=800k") / "out"
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "whole").returncode == 0
    whole = visible(tmp_path / "whole")
    done = lgnet("inpaint", images, masks, "-o", out)
    assert done.returncode == 3, done.stderr
    now = visible(out)
    assert 0 < len(now) < 8
    assert all(whole[name] == content for name, content in now.items())
    assert hidden(out) == []
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 8 - sum(r["status"] == "filled" for r in records(out).values())
    assert all("No space left on device" in line for line in failed)
    small_disk("size=20m")
    assert lgnet("inpaint", images, masks, "-o", out).returncode == 0
    assert visible(out) == whole


def test_a_disk_too_full_to_begin_is_refused(
    folders: Folders, lgnet: Command, small_disk: Callable[[str], Path]
) -> None:
    images, masks = folders(1)
    disk = small_disk("size=64k")
    (disk / "out").mkdir()
    (disk / "filler").write_bytes(bytes(60 * 1024))
    with pytest.raises(OSError, match="No space"):
        (disk / "more").write_bytes(bytes(8192))
    done = lgnet("inpaint", images, masks, "-o", disk / "out")
    assert done.returncode == 2, done.stderr
    assert "out: cannot be written: No space left on device" in done.stderr


def test_a_read_only_disk_is_refused_before_the_model_loads(
    folders: Folders, lgnet: Command, small_disk: Callable[[str], Path]
) -> None:
    images, masks = folders(1)
    disk = small_disk("size=1m")
    (disk / "out").mkdir()
    small_disk("ro")
    for out in (disk / "out", disk / "new"):
        done = lgnet("inpaint", images, masks, "-o", out)
        assert done.returncode == 2
        assert "Read-only file system" in done.stderr
        assert "back end" not in done.stderr


@pytest.fixture
def bound() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`lgnet` without root's right to read and write everything, which tests in containers have."""
    prefix = []
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("setpriv, of util-linux, is not here")
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]

    def lgnet(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*prefix, LGNET, *map(str, arguments)], capture_output=True, text=True, check=False)

    return lgnet


def test_what_may_not_be_read_or_written_is_named(folders: Folders, tmp_path: Path, bound: Command) -> None:
    (images, masks), out = folders(4), tmp_path / "out"
    for name, place in (("002.png", "locked"), ("003.png", "listed")):
        for top in (images, masks):
            (top / place).mkdir()
            (top / name).rename(top / place / name)
    out.mkdir(mode=0o555)
    done = bound("inpaint", images, masks, "-o", out)
    assert (done.returncode, "out: cannot be written: Permission denied" in done.stderr) == (2, True), done.stderr
    out.chmod(0o755)
    (images / "001.png").chmod(0)
    (images / "locked").chmod(0)
    (images / "listed").chmod(0o444)
    try:
        refused = bound("inpaint", images, masks, "-o", out)
        assert refused.returncode == 2
        assert f"{images / 'locked'}: Permission denied" in refused.stderr
        assert str(masks / "locked" / "002.png") in refused.stderr  # whose image cannot be seen
        done = bound("inpaint", images, masks, "-o", out, "--allow-missing")
    finally:
        for place in ("locked", "listed"):
            (images / place).chmod(0o755)
    assert done.returncode == 3
    for name in ("001.png: cannot be read", "listed/003.png"):
        assert f"{images / name}: Permission denied" in done.stderr
    assert visible(out).keys() == {"000.png"}


def test_pipes_named_like_images_are_named_and_not_waited_for(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(2)
    os.mkfifo(images / "pipe.jpg")
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out")
    assert (done.returncode, str(images / "pipe.jpg") in done.stderr) == (2, True)
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--allow-missing").returncode == 0
    single = lgnet("inpaint", images / "pipe.jpg", masks / "000.png", "-o", tmp_path / "b.jpg")
    assert (single.returncode, "pipe.jpg: not an ordinary file" in single.stderr) == (2, True)


def test_what_happens_to_files_under_the_batch(folders: Folders, tmp_path: Path) -> None:
    """Deleted, turned into a pipe, a folder or a loop, and replaced: each fails alone, or is filled as it is now."""
    images, masks = folders(20)

    class Meddler(PaintEngine):
        def fill(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
            if not self.calls:
                for i in range(14, 18):
                    (images / f"{i:03}.png").unlink()
                os.mkfifo(images / "015.png")
                (images / "016.png").mkdir()
                (images / "017.png").symlink_to(images / "017.png")
                (masks / "018.png").unlink()
                (images / "019.png").write_bytes((images / "000.png").read_bytes())
            return super().fill(image, mask)

    summary, done = painted(images, masks, tmp_path / "out", Meddler())
    errors = {Path(r.input).name: r.error for r in done if r.error}
    assert (summary.filled, errors.keys()) == (15, {f"{i:03}.png" for i in range(14, 19)})
    assert "No such file" in errors["014.png"]
    assert "not an ordinary file" in errors["015.png"]
    assert "symbolic links" in errors["017.png"]
    assert str(masks / "018.png") in errors["018.png"]
    before, after = (cv2.imread(str(p)) for p in (images / "000.png", tmp_path / "out" / "019.png"))
    hole = cv2.imread(str(masks / "019.png"), cv2.IMREAD_GRAYSCALE) > 0
    np.testing.assert_array_equal(after[~hole], before[~hole])


def test_a_file_that_changes_or_breaks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Input/output error"):
        read_whole(Path("/proc/self/mem"), 1 << 20)  # as from a mount that is gone: opens, and then fails
    with pytest.raises(FileError, match="changed while it was read"):
        read_whole(Path("/proc/self/status"), 1 << 20)  # says that it has no bytes, and has some
    for device in ("/dev/zero", "/dev/null", str(tmp_path)):
        with pytest.raises(FileError, match=r"not an ordinary file|Is a directory"):
            read_whole(Path(device), 1 << 20)


def test_a_file_too_large_for_the_limit_is_not_read(tmp_path: Path, lgnet: Command) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)  # a hole of 1 TiB
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((9, 9), np.uint8))
    done = lgnet("inpaint", tmp_path / "huge.png", tmp_path / "mask.png", "-o", tmp_path / "out")
    assert (done.returncode, "huge.png: 1,099,511,627,776 bytes" in done.stderr) == (3, True)


def test_max_pixels_refuses_by_name(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    done = lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--max-pixels", 300 * 260 - 1)
    assert done.returncode == 3
    assert f"{images / '000.png'}: claims 300 x 260 pixels; the limit is 77,999" in done.stderr
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "out", "--max-pixels", 300 * 260).returncode == 0


def test_names_of_every_kind(folders: Folders, tmp_path: Path) -> None:
    """Newlines, bytes that are no Unicode, 255 bytes, all of them suffix, and two that differ in case alone."""
    images, masks = folders(7)
    odd = [b"new\nline.png", b"\xff\xfe.png", b"n" * 251 + b".png", b"Case.png", b"case.PNG", b"\xc3\xbc \x1b[31m.png"]
    for i, name in enumerate(odd):
        for folder in (images, masks):
            (folder / f"{i:03}.png").rename(folder / os.fsdecode(name))
    command = [LGNET, "inpaint", images, masks, "-o", tmp_path / "out"]
    dry = subprocess.run([*command, "--dry-run"], capture_output=True, check=False, env=os.environ | {"LANG": "C"})
    assert (dry.returncode, len(dry.stdout.splitlines())) == (0, 7), dry.stderr
    assert b"\x1b" not in dry.stdout
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    results = {os.fsencode(p.name) for p in (tmp_path / "out").iterdir()}
    assert results == {*odd, b"006.png", NAME.encode()}
    assert cv2.imdecode(np.fromfile(tmp_path / "out" / os.fsdecode(odd[2]), np.uint8), 1).shape == (260, 300, 3)
    again = subprocess.run([*command, "--json"], capture_output=True, check=False)
    assert json.loads(again.stdout)["skipped"] == 7


def test_a_name_that_is_all_suffix_leaves_room_for_the_temporary_one(folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(1)
    long = images / ("a." + "x" * 253)
    (images / "000.png").rename(long)
    command = [LGNET, "inpaint", long, masks / "000.png", "-o", tmp_path / "out"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert (tmp_path / "out" / long.name).stat().st_mode & stat.S_IFREG


@pytest.mark.parametrize("count", [340, pytest.param(2040, marks=pytest.mark.slow)])
@pytest.mark.parametrize("damaged", ["images", "masks"])
def test_damaged_files_fail_alone_soon_and_leave_no_output(tmp_path: Path, damaged: str, count: int) -> None:
    """120 of each way to store a picture, in the slow version, as images and as many as masks."""
    images, masks, out = (tmp_path / name for name in ("images", "masks", "out"))
    for folder in (images, masks):
        folder.mkdir()
    good = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8))[1].tobytes()
    for name, data in mutants(count, seed=1 if damaged == "images" else 2):
        (tmp_path / damaged / name).write_bytes(data)
        other = masks if damaged == "images" else images
        (other / name).with_suffix(".png").write_bytes(good)
    summary, done = painted(images, masks, out)
    assert len(done) == count
    assert summary.failed > count // 4
    assert summary.filled + summary.copied > count // 10
    for i, slow in enumerate(sorted(done, key=lambda r: -r.seconds)[:3]):  # again, each alone: in processor time
        before = time.process_time()
        painted(Path(slow.input), Path(slow.mask), tmp_path / str(i))
        assert time.process_time() - before < 5, slow.input
    named = records(out)
    for record in done:
        output = Path(record.output)
        assert named[output.name]["status"] == record.status
        assert output.exists() == (record.status != "failed")
        assert not record.error or record.input in record.error or record.mask in record.error


def test_a_png_chunk_cannot_claim_memory(tmp_path: Path) -> None:
    """388 bytes once made OpenCV allocate 4 GiB: a chunk's length is believed before it is read."""
    (tmp_path / "i.png").write_bytes(_png_with_absurd_chunk())
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((40, 50), np.uint8))
    code = f"""
import resource, subprocess
command = {[LGNET, "inpaint", str(tmp_path / "i.png"), str(tmp_path / "m.png"), "-o", str(tmp_path / "out")]!r}
done = subprocess.run(command, capture_output=True, text=True)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
print(done.stderr)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    status, peak = map(int, said.split()[:2])
    assert (status, "chunks reach over its end" in said) == (3, True)
    assert peak < 1024  # MiB; with the model loaded


def _png_with_absurd_chunk() -> bytes:
    data = bytearray(cv2.imencode(".png", np.zeros((40, 50), np.uint8))[1].tobytes())
    at = data.index(b"IDAT")
    data[at - 4 : at] = b"\xff\xff\xff\xff"
    return bytes(data)


def test_a_tiff_of_endless_pages_is_refused_soon(tmp_path: Path) -> None:
    """A chain of 60,000 directories; Pillow takes minutes to count them, for each is looked up among all before."""
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    for i in range(60_000):
        follow = 8 + 18 * (i + 1) if i < 59_999 else 0
        data += struct.pack("<HHHII", 1, 256, 3, 1, 5) + struct.pack("<I", follow)
    started = time.process_time()
    with pytest.raises(FileError):
        decode(bytes(data), tmp_path / "pages.tif")
    assert time.process_time() - started < 5


def test_a_second_run_on_one_out_is_refused(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(40)
    out = tmp_path / "out"
    first = subprocess.Popen([LGNET, "inpaint", images, masks, "-o", out], stderr=subprocess.DEVNULL)
    while not (out / NAME).exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)  # so that it is still there
    for shard in ([], ["--shard", "1/2"]):
        second = lgnet("inpaint", images, masks, "-o", out, *shard)
        assert second.returncode == 2
        assert f"process {first.pid} of " in second.stderr
        assert f"rm {out / LOCK}" in second.stderr
    first.send_signal(signal.SIGCONT)
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=60) == 130
    assert hidden(out) == []


@pytest.mark.slow
def test_fuzzing_the_decoders_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="pip install 'lgnet[fuzz]'")
    script = Path(__file__).with_name("fuzz_decode.py")
    done = subprocess.run(
        [sys.executable, script, "-max_total_time=120"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []
