"""The real command on an S3 server on loopback: photos, masks and results that lie in a bucket."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from lgnet_cli.errors import UsageError
from lgnet_cli.lock import Owner, locked
from lgnet_cli.report import NAME

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

LGNET = Path(sys.executable).with_name("lgnet")


def upload(folder: Path, to: Path) -> None:
    for file in folder.rglob("*.*"):
        (to / str(file.relative_to(folder))).write_bytes(file.read_bytes())


def names(folder: Path) -> list[str]:
    """Every object below a place, by its name below it."""
    start = folder.path.rstrip("/") + "/"  # type: ignore[attr-defined]
    found = folder.fs.find(folder.path)  # type: ignore[attr-defined]
    return sorted(name.removeprefix(start) for name in found)


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def test_from_s3_to_s3_as_on_this_machine(folders: Folders, bucket: Path, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(3, (100, 120))
    (images / "sub").mkdir()
    (images / "002.png").rename(images / "sub" / "zwei é.png")
    (masks / "sub").mkdir()
    (masks / "002.png").rename(masks / "sub" / "zwei é.png")
    assert lgnet("inpaint", images, masks, "-o", tmp_path / "here").returncode == 0
    upload(images, bucket / "images")
    upload(masks, bucket / "masks")
    command = ("inpaint", bucket / "images", bucket / "masks", "-o", bucket / "out", "--json")
    done = lgnet(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["filled"] == 3
    results = ["000.png", "001.png", "sub/zwei é.png"]
    assert names(bucket / "out") == sorted([*results, NAME])  # the lock is gone
    for name in results:
        assert (bucket / "out" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert {line["output"] for line in lines(bucket / "out")} == {f"{bucket / 'out'}/{name}" for name in results}

    again = json.loads(lgnet(*command).stdout)
    assert (again["skipped"], again["filled"]) == (3, 0)
    (bucket / "images" / "000.png").write_bytes((images / "001.png").read_bytes())  # changed
    (bucket / "out" / "001.png").unlink()  # missing
    third = json.loads(lgnet(*command).stdout)
    assert (third["skipped"], third["filled"]) == (1, 2)
    assert len(lines(bucket / "out")) == 5


def test_a_bad_object_is_reported_and_the_rest_is_filled(folders: Folders, bucket: Path, lgnet: Command) -> None:
    images, masks = folders(3, (80, 130))
    upload(images, bucket / "images")
    (bucket / "images" / "001.png").write_bytes((images / "001.png").read_bytes()[:300])
    done = lgnet("inpaint", bucket / "images", masks, "-o", bucket / "out")  # remote ones with masks of this machine
    assert done.returncode == 3
    assert f"{bucket / 'images' / '001.png'}: damaged or cut off" in done.stderr
    assert names(bucket / "out") == ["000.png", "002.png", NAME]
    assert sorted(str(line["status"]) for line in lines(bucket / "out")) == ["failed", "filled", "filled"]


@pytest.mark.slow
def test_globs_one_mask_for_all_a_page_and_results_here(
    folders: Folders, bucket: Path, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(2, (80, 130))
    upload(images, bucket / "a" / "b")
    (bucket / "mask.png").write_bytes((masks / "000.png").read_bytes())
    out = tmp_path / "out"
    done = lgnet("inpaint", f"{bucket}**/*.png", bucket / "mask.png", "-o", out, "--allow-missing", "--report")
    assert done.returncode == 0, done.stderr
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.png")} == {"a/b/000.png", "a/b/001.png"}
    one = lgnet("inpaint", bucket / "a" / "b" / "000.png", bucket / "mask.png", "-o", bucket / "one.png", "--overwrite")
    assert one.returncode == 0, one.stderr
    assert (bucket / "one.png").read_bytes() == (out / "a" / "b" / "000.png").read_bytes()
    page = lgnet("inpaint", bucket / "a", bucket / "mask.png", "-o", bucket / "out", "--report")
    assert page.returncode == 0, page.stderr
    assert (bucket / "out" / "lgnet-report.html").read_text().count("<figure") == 2


@pytest.mark.parametrize(("arguments", "said"), [
    (["s3://nobody-has-this/images", "{masks}", "-o", "{out}"], "s3://nobody-has-this/images: no such file or folder"),
    (["{images}", "{masks}", "-o", "s3://nobody-has-this/out"], "cannot be written: The specified bucket does not"),
    (["s3a://{name}/images", "{masks}", "-o", "{bucket}images/out"], "OUT is IMAGES or lies inside it"),
])  # fmt: skip
def test_what_the_command_line_may_not_ask(
    arguments: list[str], said: str, folders: Folders, bucket: Path, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(2, (60, 60))
    upload(images, bucket / "images")
    words = {
        "images": f"{bucket}images", "masks": masks, "out": tmp_path / "out", "bucket": bucket,
        "name": bucket.parts[0].strip("/"),
    }  # fmt: skip
    done = lgnet("inpaint", *(argument.format(**words) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert names(bucket) == ["images/000.png", "images/001.png"]


def test_a_server_out_of_reach_is_an_error_that_names_it(tmp_path: Path, lgnet: Command, bucket: Path) -> None:
    os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    os.environ["AWS_MAX_ATTEMPTS"] = "1"
    done = lgnet("inpaint", "s3://some/images", "s3://some/masks", "-o", tmp_path)
    assert done.returncode == 2
    assert "s3://some/images" in done.stderr
    assert "Could not connect" in done.stderr


def test_names_that_only_an_object_store_allows_are_not_followed(
    folders: Folders, bucket: Path, tmp_path: Path, lgnet: Command
) -> None:
    """`images/../../x.png` is a name like any other there, and would be a file outside OUT here."""
    images, masks = folders(1, (60, 60))
    upload(images, bucket / "images")
    for name in ("images/../../x.png", "images//y.png", "images/"):
        bucket.fs.pipe_file(f"{bucket.path}{name}", (images / "000.png").read_bytes())  # type: ignore[attr-defined]
    command = ("inpaint", bucket / "images", masks / "000.png", "-o", tmp_path / "deep" / "out")
    done = lgnet(*command)
    assert done.returncode == 2
    assert "name that only an object store allows" in done.stderr
    assert f"{bucket}images/.." in done.stderr
    assert lgnet(*command, "--allow-missing").returncode == 0
    assert [p.name for p in (tmp_path / "deep").rglob("*.png")] == ["000.png"]
    assert not (tmp_path / "x.png").exists()


def test_one_run_at_a_time_in_a_bucket(bucket: Path, folders: Folders, lgnet: Command) -> None:
    images, masks = folders(1, (60, 60))
    out = bucket / "out"
    with locked(out):
        done = lgnet("inpaint", images, masks, "-o", out)
        assert done.returncode == 2
        assert f"another run is at work here: process {os.getpid()} " in done.stderr
        assert names(out) == [".lgnet-lock"]
    with locked(out, (1, 2)), locked(out, (2, 2)), pytest.raises(UsageError, match="at work here"), locked(out):
        pass
    assert names(bucket) == []
    elsewhere = Owner("elsewhere", 1, "u", "2026-01-01 00:00:00")
    (out / ".lgnet-lock").write_text(json.dumps(asdict(elsewhere)))
    with pytest.raises(UsageError, match="on elsewhere, since 2026") as refused, locked(out):
        pass
    mend = refused.value.mend.split("gone down: ")[1]
    assert subprocess.run(mend.replace("python", sys.executable, 1), shell=True, check=False).returncode == 0
    with locked(out) as dead:
        assert dead is None


@pytest.mark.slow
def test_a_killed_run_in_a_bucket_is_taken_over(bucket: Path, folders: Folders, lgnet: Command) -> None:
    images, masks = folders(8, (300, 400))
    command = ["inpaint", str(images), str(masks), "-o", str(bucket / "out")]
    running = subprocess.Popen([LGNET, *command], stderr=subprocess.DEVNULL)
    while not any(name.endswith(".png") for name in names(bucket / "out")):
        assert running.poll() is None
    running.kill()
    running.wait()
    assert ".lgnet-lock" in names(bucket / "out")
    done = lgnet(*command)
    assert done.returncode == 0, done.stderr
    assert f"the run before was killed (process {running.pid} " in done.stderr
    assert names(bucket / "out") == [*(f"{i:03}.png" for i in range(8)), NAME]
    for i in range(8):
        data = np.frombuffer((bucket / "out" / f"{i:03}.png").read_bytes(), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (300, 400, 3)
    assert {line["status"] for line in lines(bucket / "out")} == {"filled"}
