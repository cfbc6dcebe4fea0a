"""The real command: trial runs, killed and gone on with, broken, and on several processes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import UsageError
from lgnet_cli.model import LGNet, load, load_published
from lgnet_cli.training.config import Config
from lgnet_cli.training.distributed import Ranks, with_shared_statistics
from lgnet_cli.training.loop import learning_rate
from lgnet_cli.training.state import State, averaged
from lgnet_cli.weights.header import read_header

FIXTURE = Path(__file__).parent.parent / "fixtures" / "official_w8_256"
LGNET = str(Path(sys.executable).with_name("lgnet"))
TINY = [arg for pair in ("width=2", "batch=2", "val_count=2", "keep_best=1", "warmup=0", "ema=0.9", "texture_size=64",
                        "texture_from=0.7")
        for arg in ("--set", pair)]  # fmt: skip
PLAIN = ["--perceptual", "none", "--set", "adversarial=0"]
TWO_THREADS = os.environ | {"OMP_NUM_THREADS": "2"}


@pytest.fixture
def images(tmp_path: Path, photo: Callable[..., Pixels]) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.png"), photo(seed=i))
    return folder


def train(*arguments: object, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LGNET, "train", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=TWO_THREADS
    )


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses_of(run: Path) -> list[tuple[int, dict]]:
    return [(line["step"], line["losses"]) for line in lines(run) if "losses" in line]


def same_weights(a: Path, b: Path) -> bool:
    one, two = load_file(a / "weights.safetensors"), load_file(b / "weights.safetensors")
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def test_a_newcomers_trial_gives_weights_pictures_and_curves(images: Path, tmp_path: Path, lgnet) -> None:
    run = tmp_path / "run"
    done = train("--images", images, "-o", run, "--steps", 4, "--published", *TINY)
    assert done.returncode == 0, done.stderr
    assert "PSNR in dB on training photos" in done.stderr
    header = read_header(run / "weights.safetensors")
    assert (header.width, header.provenance["steps"], header.provenance["images"]) == (2, "4", "6")
    recorded = losses_of(run)
    assert [step for step, _ in recorded] == [1, 2, 3, 4]
    textured = {"perceptual_G", "style_L", "tv_G", "adversarial", "judge"}
    assert not textured & recorded[0][1].keys()  # texture_from = 0.7 of 4 steps
    assert textured <= recorded[3][1].keys()
    assert cv2.imread(str(run / "pictures" / "0000004.png")).shape == (512, 1536, 3)
    assert list((run / "tensorboard").iterdir())
    assert (run / "best-0000004.safetensors").is_file()
    published = load_published(run / "published")
    for key, value in load(run / "weights.safetensors").state_dict().items():
        assert torch.equal(published.state_dict()[key], value)
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), cv2.rectangle(cv2.imread(str(images / "0.png")) * 0, (90, 90), (140, 150), (255,) * 3, -1))
    weights = run / "weights.safetensors"
    filled = lgnet(
        "inpaint", images / "0.png", mask, "-o", tmp_path / "f.png", "--weights", weights, "--backend", "torch"
    )
    assert filled.returncode == 0, filled.stderr
    shipped = lgnet("weights", "export", weights, "-o", tmp_path / "shipped", "--name", "mine")
    assert shipped.returncode == 0, shipped.stderr
    graph = tmp_path / "shipped" / "mine.onnx"
    again = lgnet("inpaint", images / "0.png", mask, "-o", tmp_path / "g.png", "--engine", graph)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_is_as_if_it_never_stopped(images: Path, tmp_path: Path) -> None:
    common = ["--images", images, "--steps", 8, "--set", "save_every=2", "--set", "validate_every=3", *TINY]
    whole = tmp_path / "whole"
    assert train(*common, "-o", whole).returncode == 0
    killed, rng = tmp_path / "killed", random.Random(0)
    for attempt in range(2):
        arguments = ["--resume"] if (killed / "last.pt").exists() else common
        process = subprocess.Popen(
            [LGNET, "train", *map(str, arguments), "-o", str(killed)], stderr=subprocess.DEVNULL, env=TWO_THREADS
        )
        before = (killed / "last.pt").stat().st_mtime_ns if attempt else 0
        deadline = time.monotonic() + 100
        while process.poll() is None and time.monotonic() < deadline:  # until it has saved once more, then a bit
            if (killed / "last.pt").exists() and (killed / "last.pt").stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.wait()
    done = train("--resume", "-o", killed)
    assert done.returncode == 0, done.stderr
    assert same_weights(whole, killed)
    assert losses_of(whole) == losses_of(killed)  # each step once, with the same numbers to the last bit
    assert [f.name for f in whole.glob("best*")] == [f.name for f in killed.glob("best*")]


def test_sigterm_saves_and_exits_130(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--images", images, "--steps", 4000, "-o", run, *TINY, *PLAIN]
    process = subprocess.Popen([LGNET, "train", *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    while not (run / "metrics.jsonl").exists():
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert f"lgnet train --resume -o {run}" in said
    assert int(read_header(run / "weights.safetensors").provenance["steps"]) < 4000
    assert (run / "last.pt").is_file()


def test_a_loss_that_is_not_finite_stops_with_step_files_and_checkpoint(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = train("--images", images, "-o", run, "--steps", 8, *TINY, *PLAIN, "--set", "valid=1e38")
    assert done.returncode == 6, done.stderr
    assert "step 1: the" in done.stderr
    assert str(images) in done.stderr
    assert "no checkpoint was saved before it" in done.stderr
    good = tmp_path / "good"
    assert train("--images", images, "-o", good, "--steps", 1, *TINY, *PLAIN).returncode == 0
    config = (good / "config.toml").read_text().replace("steps = 1\n", "steps = 2\n")
    (good / "config.toml").write_text(config.replace("valid = 1.0\n", "valid = 1e38\n"))
    stopped = train("--resume", "-o", good)
    assert stopped.returncode == 6, stopped.stderr
    assert f"{good / 'last.pt'} is good, of step 1" in stopped.stderr
    assert f"--resume -o {good}" in stopped.stderr
    assert str(run / "config.toml") in done.stderr


@pytest.mark.slow
def test_it_starts_from_published_weights_and_goes_on_with_the_same_images_alone(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--init", FIXTURE, "--steps", 1, "--set", "val_count=2", "--set", "ema=0.9", *PLAIN]
    done = train("--images", images, "-o", run, *options)
    assert done.returncode == 0, done.stderr
    assert "width = 8\n" in (run / "config.toml").read_text()
    longer = (run / "config.toml").read_text().replace("steps = 1\n", "steps = 2\n")
    (run / "config.toml").write_text(longer)
    cv2.imwrite(str(images / "more.png"), cv2.imread(str(images / "0.png")))
    refused = train("--resume", "-o", run)
    assert (refused.returncode, "of a run with 6 images, and now there are 7" in refused.stderr) == (2, True)
    (images / "more.png").unlink()
    assert train("--resume", "-o", run).returncode == 0
    assert read_header(run / "weights.safetensors").provenance["steps"] == "2"


def test_batchnorm_over_processes_keeps_names_and_parameters() -> None:
    model = LGNet(2)
    names, parameters = list(model.state_dict()), list(model.parameters())
    with pytest.raises(UsageError, match="between GPUs alone"):
        with_shared_statistics(model, Ranks(0, 2, torch.device("cpu")))
    shared = with_shared_statistics(model, Ranks(0, 2, torch.device("cuda")))
    assert list(shared.state_dict()) == names
    assert all(a is b for a, b in zip(shared.parameters(), parameters, strict=True))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in shared.modules())


def test_the_average_has_averaged_statistics() -> None:
    model = LGNet(2)
    state = State(model, averaged(model, 0.5), None, None, None, None, 1, 1, step=1000)  # type: ignore[arg-type]
    for name, buffer in model.named_buffers():
        buffer.fill_(4) if name.endswith("running_mean") else None
    state.update_average(0.75)
    means = [b for name, b in state.average.named_buffers() if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(mean, torch.ones_like(mean)) for mean in means)


@pytest.mark.parametrize(("arguments", "code", "said"), [
    ([], 2, "--images"), (["--images", "nowhere"], 4, "nowhere"), (["--images", ".", "--set", "widht=3"], 2, "widht"),
    (["--resume"], 2, "config.toml"), (["--images", ".", "--perceptual", "vgg16"], 4, "holds no image"),
])  # fmt: skip
def test_what_is_wrong_is_said(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [LGNET, "train", *arguments, "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_vgg16_that_is_missing_says_how_to_go_on(images: Path, tmp_path: Path) -> None:
    done = train("--images", images, "-o", tmp_path / "run", "--preset", "celebahq", "--weights-dir", tmp_path, *TINY)
    assert done.returncode == 5
    for said in ("vgg16-397923af.pth", str(tmp_path), "--perceptual none", "--perceptual st-vgg16"):
        assert said in done.stderr


def test_a_run_is_not_overwritten_and_its_state_is_not_executed(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train("--images", images, "-o", run, "--steps", 1, *TINY, *PLAIN).returncode == 0
    again = train("--images", images, "-o", run, "--steps", 1, *TINY, *PLAIN)
    assert (again.returncode, "--resume" in again.stderr) == (2, True)
    torch.save({"format": Runs()}, run / "last.pt")
    resumed = train("--resume", "-o", run)
    assert resumed.returncode == 5
    assert "ran" not in resumed.stdout


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


def torchrun(*arguments: object) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", LGNET, "train", *map(str, arguments),
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_are_one_with_the_double_batch(images: Path, tmp_path: Path) -> None:
    common = ["--images", images, "--steps", 4, *PLAIN, "--set", "width=2", "--set", "val_count=2", "--set", "ema=0"]
    one, two, apart = tmp_path / "one", tmp_path / "two", tmp_path / "accumulated"
    assert train(*common, "-o", one, "--batch", 4).returncode == 0
    done = subprocess.run(torchrun(*common, "-o", two, "--batch", 2), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert train(*common, "-o", apart, "--batch", 2, "--set", "accumulate=2").returncode == 0
    curves = [[parts["loss"] for _, parts in losses_of(run)] for run in (one, two, apart)]
    # BatchNorm sees 2 images instead of 4, so the loss differs a little from the first step on.
    assert curves[1] == pytest.approx(curves[0], rel=0.05)
    # Two processes, and one that accumulates, see the same BatchNorm batches: only the order of sums differs, which
    # Adam's division by small second moments enlarges.
    assert curves[1] == pytest.approx(curves[2], rel=1e-3)


@pytest.mark.slow
def test_two_processes_train_texture_too(images: Path, tmp_path: Path) -> None:
    """The judge runs twice before its one backward, beside a network whose gradients wait for a second batch."""
    run = tmp_path / "run"
    settings = [arg for pair in ("texture_from=0", "accumulate=2") for arg in ("--set", pair)]
    arguments = torchrun("--images", images, "--steps", 2, "-o", run, *TINY, *settings)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    (_, first), (_, last) = losses_of(run)
    assert {"perceptual_G", "style_L", "adversarial", "judge"} <= first.keys() == last.keys()
    resumed = train("--resume", "-o", run)
    assert (resumed.returncode, "of a run with 2 processes" in resumed.stderr) == (2, True)


def test_when_one_process_dies_the_run_ends_and_can_go_on(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--images", images, "--steps", 100000, *PLAIN, *TINY, "--set", "save_every=2", "-o", run]
    process = subprocess.Popen(torchrun(*arguments), stderr=subprocess.PIPE, text=True)
    while not (run / "last.pt").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    ranks = [pid for pid in children(process.pid) if "lgnet" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(max(ranks), signal.SIGKILL)
    said = process.communicate(timeout=100)[1]
    assert process.returncode not in (0, None)
    assert "another process of this run is gone" in said or "stopped at step" in said
    assert f"lgnet train --resume -o {run}" in said
    short = (run / "config.toml").read_text().replace("steps = 100000", "steps = 1")
    (run / "config.toml").write_text(short)  # all its steps are done: it only has to be read
    resumed = subprocess.run(torchrun("--resume", "-o", run), capture_output=True, text=True, timeout=200)
    assert resumed.returncode == 0, resumed.stderr


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(("config", "rates"), [
    (Config(learning_rate=1.0), [1, 1, 1, 0.8, 0.2]),
    (Config(learning_rate=1.0, warmup=10), [0.1, 1, 1, 0.8, 0.2]),
    (Config(learning_rate=2.0, decay="cosine", decay_from=0.0), [2, 1.9021, 1.0, 0.69098, 0.0489]),
    (Config(learning_rate=1.0, decay_from=1.0), [1, 1, 1, 1, 1]),
])  # fmt: skip
def test_learning_rate(config: Config, rates: list[float]) -> None:
    measured = [learning_rate(config, step, 100) for step in (0, 14, 50, 60, 90)]
    if config.decay == "cosine":
        measured[1] = learning_rate(config, 14, 100)
        assert measured[0] == 2.0
        assert measured == sorted(measured, reverse=True)
        assert measured[2] == pytest.approx(1.0)
    else:
        assert measured == pytest.approx(rates)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_layout_accumulation_and_clipping_run_on_a_cpu_too(
    images: Path, tmp_path: Path, precision: str
) -> None:
    settings = (f"precision={precision}", "layout=channels-last", "accumulate=2", "clip_gradient=0.5", "judged=coarse",
                "texture_from=0", "log_every=1")  # fmt: skip
    run = tmp_path / "run"
    options = [arg for pair in settings for arg in ("--set", pair)]
    done = train("--images", images, "-o", run, "--steps", 2, *TINY, *options)
    assert done.returncode == 0, done.stderr
    assert len(losses_of(run)) == 2
    assert {"perceptual_L", "judge"} <= losses_of(run)[0][1].keys()
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("steps = 2\n", "steps = 3\n"))
    assert train("--resume", "-o", run).returncode == 0  # the loss scaler's state too
