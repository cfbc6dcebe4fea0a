"""`lgnet inpaint --ray` on a real cluster of two nodes on this machine, and what goes wrong there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from fakes import DyingWorker, StillbornWorker
from lgnet_cli.cluster import connected, make_order, shape_of, wants_gpu
from lgnet_cli.crew import TRIES, Crew, Shape
from lgnet_cli.errors import ModelError
from lgnet_cli.imaging.pairs import make_plan
from lgnet_cli.pipeline import Summary
from lgnet_cli.report import NAME, Report
from lgnet_cli.stages import Settings

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

LGNET = Path(sys.executable).with_name("lgnet")
COUNT = 20
ONE_CPU = ("--threads", 1)  # as each worker has: with another number, sums are rounded otherwise


@pytest.fixture(scope="module")
def cluster(server: dict[str, str]) -> Iterator[Cluster]:
    """Two nodes of one CPU each, on this machine; nothing is reported to anybody. s3:// is the server's."""
    kept = dict(os.environ)
    os.environ.update(server, RAY_USAGE_STATS_ENABLED="0", PYTHONPATH=str(Path(__file__).parent))  # fakes.py
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    os.environ.clear()
    os.environ.update(kept)
    yield made
    made.shutdown()


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def visible(folder: Path) -> dict[str, bytes]:
    """The results; unfinished ones come and go."""
    found = (path for path in folder.rglob("*.png") if not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def started(out: Path, count: int, command: list[object]) -> "subprocess.Popen[str]":
    """The command, running, with `count` results there."""
    running = subprocess.Popen([LGNET, *map(str, command)], stderr=subprocess.PIPE, text=True)
    while not out.is_dir() or len(visible(out)) < count:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.02)
    return running


def test_as_on_one_machine_and_resumed(cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(5, (90, 120))
    (images / "003.png").write_bytes((images / "003.png").read_bytes()[:200])
    here, there = tmp_path / "here", tmp_path / "there"
    assert lgnet("inpaint", images, masks, "-o", here, *ONE_CPU).returncode == 3
    (tmp_path / "lgnet_cli").mkdir()  # as in a clone of the sources
    (tmp_path / "lgnet_cli" / "__init__.py").write_text("raise ImportError('not what is installed')")
    # Relative paths: workers run in other folders.
    command = ["inpaint", "images", "masks", "-o", "there", "--ray", cluster.address]
    done = lgnet(*command, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "003.png: damaged or cut off" in done.stderr
    assert "4 filled, 0 copied (nothing to fill), 1 failed, 0 done before" in done.stderr
    assert visible(there) == visible(here)
    assert sorted((line["input"], line["status"]) for line in lines(there)) == [
        (f"images/{i:03}.png", "failed" if i == 3 else "filled") for i in range(5)
    ]
    again = lgnet(*command[:-2], "--json", cwd=tmp_path)  # one report for both ways
    assert json.loads(again.stdout)["skipped"] == 4


def test_auto_is_the_cluster_that_the_environment_names(
    cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(2, (60, 70))
    command = ["inpaint", images, masks, "-o", tmp_path / "out", "--ray", "auto"]
    nobody = lgnet(*command, env=os.environ | {"RAY_ADDRESS": "127.0.0.1:1"})
    assert (nobody.returncode, "nobody there" in nobody.stderr) == (2, True), nobody.stderr
    done = lgnet(*command, env=os.environ | {"RAY_ADDRESS": cluster.address})
    assert done.returncode == 0, done.stderr
    assert "fp32) on " in done.stderr  # a worker says where it is
    assert len(visible(tmp_path / "out")) == 2


@pytest.mark.slow
def test_from_s3_to_s3(cluster: Cluster, folders: Folders, bucket: Path, lgnet: Command) -> None:
    images, masks = folders(3, (60, 70))
    for file in (*images.iterdir(), *masks.iterdir()):
        (bucket / file.parent.name / file.name).write_bytes(file.read_bytes())
    command = ["inpaint", bucket / "images", bucket / "masks", "-o", bucket / "out", "--ray", cluster.address, "--json"]
    done = lgnet(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["filled"] == 3
    assert sorted(p.name for p in (bucket / "out").iterdir()) == ["000.png", "001.png", "002.png", NAME]
    assert json.loads(lgnet(*command).stdout)["skipped"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_its_workers_and_can_go_on(
    number: int, cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(COUNT, (300, 400))
    out = tmp_path / "out"
    command = ["inpaint", images, masks, "-o", out, "--ray", cluster.address]
    running = started(out, 1, command)
    running.send_signal(number)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert "the same command goes on where it stopped" in said
    before = len(lines(out))
    assert before < COUNT
    done = lgnet(*command, "--json")  # needs the CPUs that the first one's workers had
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["skipped"] == before
    assert len(visible(out)) == len(lines(out)) == COUNT


@pytest.mark.slow
def test_a_worker_that_an_image_takes_down_is_replaced_and_the_image_found(
    cluster: Cluster, folders: Folders, tmp_path: Path
) -> None:
    images, masks = folders(12, (60, 60))
    (images / "005.png").rename(images / "005-dies.png")
    (masks / "005.png").rename(masks / "005-dies.png")
    out, summary, said = tmp_path / "out", Summary(), list[str]()
    out.mkdir()
    pairs, report = make_plan(str(images), masks, out).pairs, Report(out)
    order = make_order("auto", None, None, False, Settings(refine="none"), None)
    with connected(cluster.address):
        arguments = (order, Shape(1, 0), report, summary, lambda record, trace: None, said.append, DyingWorker)
        crew = Crew(pairs, len(pairs), *arguments)
        crew.run()
        crew.close()
    report.close()
    assert (summary.filled, summary.failed) == (11, 1)
    assert crew.lost >= TRIES
    assert len(visible(out)) == 11
    (failed,) = (line for line in lines(out) if line["status"] == "failed")
    assert failed["error"] == f"{images}/005-dies.png: {TRIES} workers were lost while they filled it"
    assert len({line["output"] for line in lines(out)}) == len(lines(out)) == 12


@pytest.mark.slow
def test_workers_that_all_die_while_they_load_end_the_batch(cluster: Cluster, folders: Folders, tmp_path: Path) -> None:
    images, masks = folders(2, (60, 60))
    pairs, summary = make_plan(str(images), masks, tmp_path / "out").pairs, Summary()
    order = make_order("auto", None, None, False, Settings(refine="none"), None)
    with connected(cluster.address):
        arguments = (order, Shape(1, 0), Report(None), summary, lambda record, trace: None, str, StillbornWorker)
        crew = Crew(pairs, len(pairs), *arguments)
        with pytest.raises(ModelError, match="workers are lost while they load the model"):
            crew.run()
        crew.close()
    assert (summary.filled, summary.failed) == (0, 0)


@pytest.mark.parametrize(("options", "code", "said"), [
    (["--ray", "127.0.0.1:1"], 2, "--ray 127.0.0.1:1: nobody there"),
    (["--ray", "{address}", "--backend", "torch-cuda"], 5, "no machine of the cluster has 1 CPU and a GPU"),
    (["-o", "b.png", "--ray", "{address}"], 2, "--ray fills folders"),
    (["--ray", "{address}", "--engine", "broken.onnx"], 5, "broken.onnx: ONNX Runtime cannot load it"),
])  # fmt: skip
def test_what_cannot_be_is_said(
    options: list[str], code: int, said: str, cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(1, (60, 60))
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    options = [option.format(address=cluster.address) for option in options]
    done = lgnet("inpaint", images / "000.png", masks, "-o", "out", *options, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert visible(tmp_path / "out") == {}


def test_a_node_killed_in_the_middle_costs_nothing(
    cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    """The last: one node is gone after it."""
    images, masks = folders(COUNT, (300, 400))
    here, there = tmp_path / "here", tmp_path / "there"
    assert lgnet("inpaint", images, masks, "-o", here, *ONE_CPU).returncode == 0
    running = started(there, COUNT // 3, ["inpaint", images, masks, "-o", there, "--ray", cluster.address])
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 0, said
    assert "is lost" in said
    assert visible(there) == visible(here)
    assert sorted((line["input"], line["status"]) for line in lines(there)) == [
        (str(images / f"{i:03}.png"), "filled") for i in range(COUNT)
    ]
    assert [p.name for p in there.iterdir() if p.name.startswith(".")] == []


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(("nodes", "backend", "cpus", "shape", "workers"), [
    ([node(CPU=4), node(CPU=6)], "auto", None, Shape(4, 0), 2),
    ([node(CPU=64), node(CPU=64), node(CPU=64, alive=False)], "auto", None, Shape(8, 0), 16),
    ([node(CPU=64)], "onnxruntime", 3, Shape(3, 0), 21),
    ([node(CPU=16, GPU=4), node(CPU=64)], "auto", None, Shape(4, 1), 4),
    ([node(CPU=16, GPU=4), node(CPU=64)], "openvino", None, Shape(8, 0), 10),
    ([node(CPU=2, GPU=4)], "torch-cuda", None, Shape(1, 1), 2),
    ([node(CPU=0), node(CPU=2)], "auto", None, Shape(2, 0), 1),
    ([node(CPU=8)], "tensorrt", None, Shape(1, 1), 0),
])  # fmt: skip
def test_how_many_workers_of_what_size(
    nodes: list[dict[str, Any]], backend: str, cpus: int | None, shape: Shape, workers: int
) -> None:
    made = shape_of(nodes, wants_gpu(backend, None), cpus)
    assert made == shape
    assert sum(map(made.fits, nodes)) == workers
