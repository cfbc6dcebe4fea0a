"""`lgnet weights ...` as a user types it."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lgnet_cli.errors import ModelError
from lgnet_cli.model import load, load_published, save
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import MAX_HEADER, read_header, sha256

FIXTURE = Path(__file__).parent.parent / "fixtures" / "official_w8_256"
Command = Callable[..., object]


def test_import_then_show_then_list(tmp_path: Path, lgnet: Callable[..., object]) -> None:
    out = tmp_path / "new" / "places2.safetensors"
    done = lgnet("weights", "import", FIXTURE, "-o", out, "--note", "licence=none")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    ours, theirs = load(out).state_dict(), load_published(FIXTURE).state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    facts = json.loads(lgnet("weights", "show", out, "--json").stdout)  # type: ignore[attr-defined]
    assert facts["width"] == 8
    assert facts["parameters"] == sum(p.numel() for p in load_published(FIXTURE).parameters())
    assert facts["sha256"] == sha256(out)
    assert facts["provenance"]["source latest_net_G2.pth"] == sha256(FIXTURE / "latest_net_G2.pth")
    assert facts["provenance"]["licence"] == "none"
    listed = lgnet("weights", "list", out.parent).stdout.splitlines()  # type: ignore[attr-defined]
    assert listed[0].startswith(str(DEFAULT_WEIGHTS))
    assert listed[1].startswith(f"{out}  width 8")


@pytest.mark.slow
def test_export_makes_a_pair_that_inpaint_runs(
    tmp_path: Path, folders: Callable[..., tuple[Path, Path]], lgnet: Callable[..., object]
) -> None:
    images, masks = folders(1)
    done = lgnet("weights", "export", FIXTURE, "-o", tmp_path / "models", "--name", "w8")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    for option in (
        ["--weights", tmp_path / "models" / "w8.safetensors"],
        ["--engine", tmp_path / "models" / "w8.onnx"],
    ):
        out = tmp_path / option[0].strip("-")
        assert lgnet("inpaint", images, masks, "-o", out, *option).returncode == 0  # type: ignore[attr-defined]
    assert (tmp_path / "weights" / "000.png").read_bytes() == (tmp_path / "engine" / "000.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "none.safetensors"], 5, "none.safetensors: cannot be read"),
        (["show", str(FIXTURE)], 5, "lgnet weights import"),
        (["import", ".", "-o", "x.safetensors"], 5, "holds no *_net_G1.pth"),
        (["import", str(FIXTURE), "-o", "x.safetensors", "--note", "licence"], 2, "KEY=VALUE"),
    ],
)
def test_errors(tmp_path: Path, lgnet: Callable[..., object], arguments: list[str], code: int, said: str) -> None:
    done = lgnet("weights", *arguments, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (code, True)  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def header(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a safetensors file"),
        (header(b"{", 1 << 60), "not a safetensors file"),
        (header(b"{}" + b" " * MAX_HEADER), "not a safetensors file"),
        (header(b"[]"), "not a safetensors file"),
        (header(b"[" * 100_000), "not a safetensors file"),
        (header(b'{"__metadata__": {"format": "pt"}}'), "not lgnet weights"),
        (header(b'{"__metadata__": 3}'), "not lgnet weights"),
        (header(b'{"__metadata__": {"format": "lgnet-1"}}'), "broken header"),
        (header(b'{"__metadata__": {"format": "lgnet-1", "width": "x", "provenance": "{}"}}'), "broken header"),
    ],
)
def test_absurd_headers_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_header(tmp_path / "x.safetensors")


def test_the_model_that_ships_fits_in_the_wheel_and_says_where_it_comes_from() -> None:
    header = read_header(DEFAULT_WEIGHTS)
    assert header.width == 16
    assert {"data", "masks", "training", "licence"} <= header.provenance.keys()
    assert sum(file.stat().st_size for file in DEFAULT_WEIGHTS.parent.glob("lgnet-*")) < 20e6


def test_what_is_cut_off_or_not_there_is_an_error(tmp_path: Path, lgnet: Callable[..., object]) -> None:
    cut, other = tmp_path / "cut.safetensors", tmp_path / "other.safetensors"
    cut.write_bytes(DEFAULT_WEIGHTS.read_bytes()[:-1000])
    other.write_bytes((2).to_bytes(8, "little") + b"{}")  # of another project
    shown = lgnet("weights", "show", cut)
    assert (shown.returncode, "cut off or damaged" in shown.stderr) == (5, True)  # type: ignore[attr-defined]
    listed = lgnet("weights", "list", tmp_path)
    assert (listed.returncode, str(cut) in listed.stderr) == (5, True)  # type: ignore[attr-defined]
    assert "other" not in listed.stderr  # type: ignore[attr-defined]
    nowhere = lgnet("weights", "list", tmp_path / "nowhere")
    assert (nowhere.returncode, "no such folder" in nowhere.stderr) == (2, True)  # type: ignore[attr-defined]


def test_the_same_weights_have_the_same_hash(tmp_path: Path) -> None:
    model = load(DEFAULT_WEIGHTS)
    hashes = set()
    for i in range(8):
        save(model, tmp_path / f"{i}.safetensors", {"a": "1", "b": "2"}, half=True)
        hashes.add(sha256(tmp_path / f"{i}.safetensors"))
    assert len(hashes) == 1
    again = load(tmp_path / "0.safetensors").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
