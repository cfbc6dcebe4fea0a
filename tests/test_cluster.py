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

from lgnet_cli.cluster import shape_of
from lgnet_cli.crew import Shape
from lgnet_cli.report import NAME

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

LGNET = Path(sys.executable).with_name("lgnet")
COUNT = 24


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one CPU each, on this machine; nothing is reported to anybody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def visible(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.png")}


def test_as_on_one_machine_and_resumed(
    cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(5, (90, 120))
    (images / "003.png").write_bytes((images / "003.png").read_bytes()[:200])
    here, there = tmp_path / "here", tmp_path / "there"
    assert lgnet("inpaint", images, masks, "-o", here).returncode == 3
    # relative paths: workers run in other folders
    command = ["inpaint", "images", "masks", "-o", "there", "--ray", cluster.address]
    done = lgnet(*command, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "003.png: damaged or cut off" in done.stderr
    assert "4 filled, 0 copied (nothing to fill), 1 failed, 0 done before" in done.stderr
    assert visible(there) == visible(here)
    assert sorted((line["input"], line["status"]) for line in lines(there)) == [
        (f"images/{i:03}.png", "failed" if i == 3 else "filled") for i in range(5)
    ]
    again = lgnet(*command, "--json", cwd=tmp_path)
    assert again.returncode == 3
    assert json.loads(again.stdout)["skipped"] == 4
    local = lgnet(*command[:-2], "--json", cwd=tmp_path)  # one report for both ways
    assert json.loads(local.stdout)["skipped"] == 4


def test_a_node_killed_in_the_middle_costs_nothing(
    cluster: Cluster, folders: Folders, tmp_path: Path, lgnet: Command
) -> None:
    images, masks = folders(COUNT, (300, 400))
    here, there = tmp_path / "here", tmp_path / "there"
    assert lgnet("inpaint", images, masks, "-o", here).returncode == 0
    command = [LGNET, "inpaint", images, masks, "-o", there, "--ray", cluster.address]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not there.is_dir() or len(visible(there)) < COUNT // 3:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.02)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 0, said
    assert "is lost" in said
    assert visible(there) == visible(here)
    assert sorted((line["input"], line["status"]) for line in lines(there)) == [
        (str(images / f"{i:03}.png"), "filled") for i in range(COUNT)
    ]
    assert not [p for p in there.rglob(".*") if p.is_file()]
