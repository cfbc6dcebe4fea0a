"""Model files made to do harm: refused with exit code 5, and nothing of them executed. Plans are in tests/engines."""

import io
import json
import os
import pickle
import pickletools
import random
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from lgnet_cli.engines.select import choose, open_engine
from lgnet_cli.errors import ModelError
from lgnet_cli.model import load, load_published
from lgnet_cli.model.checkpoint import _unpickled
from lgnet_cli.weights import DEFAULT_WEIGHTS

FIXTURE = Path(__file__).parent / "fixtures" / "official_w8_256"
Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


class Runs:
    """Unpickled, it calls `function` with `arguments`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def zipped(payload: bytes) -> bytes:
    """A payload where PyTorch's own format has its pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("m/data.pkl", payload)
        file.writestr("m/version", "3\n")
        file.writestr("m/byteorder", "little")
    return buffer.getvalue()


def evil_pickles(target: Path) -> dict[str, bytes]:
    """Ways to make `target` when loaded."""
    touch = f"touch {target}"
    system = Runs(os.system, touch)
    found = {f"protocol {n}": pickle.dumps(system, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}
    found |= {f"zip, protocol {n}": zipped(pickle.dumps(system, protocol=n)) for n in (2, 4)}
    found["eval"] = zipped(pickle.dumps(Runs(eval, f"__import__('os').system({touch!r})"), protocol=2))
    found["mkdir"] = zipped(pickle.dumps({"model.model.0.weight": Runs(os.mkdir, str(target))}, protocol=2))
    found["INST"] = f"(S'{touch}'\nios\nsystem\n.".encode()
    found["torch's own"] = zipped(pickle.dumps(Runs(torch.load, "/etc/passwd"), protocol=2))
    found["getattr"] = zipped(pickle.dumps(Runs(getattr, "", "join"), protocol=2))
    return found


def test_the_pickles_are_real(tmp_path: Path) -> None:
    """They do run, in a loader that lets them: a test with dead ammunition proves nothing."""
    for name, data in evil_pickles(tmp_path / "made").items():
        if name.startswith("protocol") or name == "INST":
            pickle.loads(data)
            assert (tmp_path / "made").exists(), name
            (tmp_path / "made").unlink()
        elif not name.startswith("zip"):
            pickletools.dis(zipfile.ZipFile(io.BytesIO(data)).read("m/data.pkl"), io.StringIO())


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", evil_pickles(Path("x")))
def test_pickles_that_run_code_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=r"latest_net_G2\.pth: "):
        load_published(with_evil(tmp_path, kind))
    assert not (tmp_path / "made").exists()


def with_evil(folder: Path, kind: str) -> Path:
    """A published model with one evil file."""
    for part in ("G1", "G2", "G3"):
        (folder / f"latest_net_{part}.pth").write_bytes((FIXTURE / f"latest_net_{part}.pth").read_bytes())
    (folder / "latest_net_G2.pth").write_bytes(evil_pickles(folder / "made")[kind])
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")  # PyTorch's, of what it reads
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_weights_are_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    """300 of each, of which some are whole enough."""
    healthy, rng = io.BytesIO(), random.Random(0)
    state = {"model.model.0.weight": torch.zeros(4, 4), "b": torch.ones(3)}
    torch.save(state, healthy, _use_new_zipfile_serialization=kind == "zip")
    whole = DEFAULT_WEIGHTS.read_bytes()[:60_000] if kind == "safetensors" else healthy.getvalue()
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(min(len(data), 40_000))] ^= 1 << rng.randrange(8)
        (tmp_path / "x").write_bytes(data)
        try:
            load(tmp_path / "x") if kind == "safetensors" else _unpickled(tmp_path / "x")
        except ModelError:
            refused += 1
    assert refused > 100


def test_each_kind_of_evil_file_ends_the_command_with_5(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    (tmp_path / "m.safetensors").write_bytes(HEADERS["shape"]())
    (tmp_path / "m.onnx").write_bytes(graph_reading("/etc/hostname"))
    fill = ["inpaint", images, masks, "-o", tmp_path / "out"]
    for arguments in (
        ["weights", "import", with_evil(tmp_path, "protocol 2"), "-o", tmp_path / "out.safetensors"],
        [*fill, "--weights", tmp_path / "m.safetensors"],
        [*fill, "--engine", tmp_path / "m.onnx"],
    ):
        done = lgnet(*arguments)
        assert done.returncode == 5, done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "out.safetensors").exists()
    assert not list(tmp_path.glob("out/*.png"))


def absurd(change: Callable[[dict[str, dict[str, object]]], object]) -> bytes:
    """The default weights' header changed, and no numbers: 40 kB that claim to be more."""
    data = DEFAULT_WEIGHTS.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    changed = json.dumps(header).encode()
    return struct.pack("<Q", len(changed)) + changed


FIRST = "coarse.down.0.conv.weight"
HEADERS = {
    "length": lambda: b"\xff" * 8 + b"{}",
    "offsets": lambda: absurd(lambda h: h[FIRST].update(data_offsets=[0, 1 << 62])),
    "backwards": lambda: absurd(lambda h: h[FIRST].update(data_offsets=[1 << 40, 0])),
    "negative": lambda: absurd(lambda h: h[FIRST].update(data_offsets=[-8, 8])),
    "shape": lambda: absurd(lambda h: h[FIRST].update(shape=[1 << 40, 1 << 40, 4, 4])),
    "no shape": lambda: absurd(lambda h: h[FIRST].update(shape="all")),
    "type": lambda: absurd(lambda h: h[FIRST].update(dtype="OBJECT")),
    "width": lambda: absurd(lambda h: h["__metadata__"].update(width=str(1 << 30))),
    "wide": lambda: absurd(lambda h: h["__metadata__"].update(width="9" * 5000)),
    "no numbers": lambda: absurd(lambda h: None),
    "nested": lambda: struct.pack("<Q", 200_000) + b"[" * 200_000,
}


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])  # by way of a graph, and directly
def test_absurd_safetensors_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, backend: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "m.safetensors").write_bytes(HEADERS[kind]())
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        open_engine(choose(backend), weights=tmp_path / "m.safetensors")
    assert not list(tmp_path.glob("cache/lgnet/*"))


def graph_reading(location: str) -> bytes:
    """A graph whose weights are in another file."""
    weights = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "16"}.items():
        weights.external_data.add(key=key, value=value)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    "location", ["beside", "absolute", "../secret.bin", "x/../../secret.bin", "link.bin", "up/secret.bin"]
)
def test_graphs_that_read_outside_their_folder_are_refused(tmp_path: Path, backend: str, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (tmp_path / "secret.bin", folder / "beside"):
        file.write_bytes(bytes(16))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "up").symlink_to(tmp_path)
    (folder / "m.onnx").write_bytes(graph_reading(str(tmp_path / "secret.bin") if location == "absolute" else location))
    with pytest.raises(ModelError) as raised:
        open_engine(choose(backend), engine=folder / "m.onnx")
    loaded = "not one of lgnet's" in str(raised.value)  # its weights were read; it has other inputs than ours
    assert loaded == (location == "beside")


def test_a_graph_of_foreign_operators_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(16))
    model = onnx.load_model_from_string(graph_reading("w"))
    model.graph.node[0].domain = "com.example.evil"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot load it"):
        open_engine(choose("onnxruntime"), engine=tmp_path / "m.onnx")
