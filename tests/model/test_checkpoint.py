"""Files of weights: read exactly, refused precisely."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lgnet_cli.errors import ModelError
from lgnet_cli.model import LGNet, load, load_published, save
from lgnet_cli.model.checkpoint import published_files

FIXTURE = Path(__file__).parent.parent / "fixtures" / "official_w8_256"


def same(a: LGNet, b: LGNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture
def trio(tmp_path: Path) -> Callable[..., Path]:
    """`trio(change)`: upstream's files copied, G1's state dict passed through `change`."""

    def make(change: Callable[[dict[str, torch.Tensor]], object] = lambda state: state, epoch: str = "latest") -> Path:
        for file in published_files(FIXTURE):
            state = torch.load(file, weights_only=True)
            changed = change(state) if "G1" in file.name else state
            torch.save(changed, tmp_path / file.name.replace("latest", epoch))
        return tmp_path

    return make


def test_round_trip_is_exact_and_carries_provenance(tmp_path: Path) -> None:
    model = load_published(FIXTURE)
    save(model, tmp_path / "m.safetensors", {"data": "none", "steps": "0"})
    again = load(tmp_path / "m.safetensors")
    assert same(model, again)
    assert again.width == 8
    assert not again.training


def test_half_keeps_batchnorm_in_full(tmp_path: Path) -> None:
    model = load_published(FIXTURE)
    save(model, tmp_path / "m.safetensors", {}, half=True)
    again = load(tmp_path / "m.safetensors").state_dict()
    for name, value in model.state_dict().items():
        expected = value.half().float() if value.dim() == 4 else value
        assert torch.equal(again[name], expected), name


def test_module_prefix_is_accepted(trio: Callable[..., Path]) -> None:
    folder = trio(lambda state: {f"module.{key}": value for key, value in state.items()})
    assert same(load_published(folder), load_published(FIXTURE))


@pytest.mark.parametrize("name", ["200", "200_net"])
def test_a_prefix_names_one_of_several(trio: Callable[..., Path], name: str) -> None:
    folder = trio(epoch="200")
    assert same(load_published(folder / name), load_published(FIXTURE))
    assert same(load_published(folder), load_published(FIXTURE))  # the only one there


def test_latest_wins_and_without_it_one_must_be_named(trio: Callable[..., Path]) -> None:
    trio(epoch="100")
    folder = trio(epoch="200")
    with pytest.raises(ModelError, match=r"several models: 100, 200"):
        load_published(folder)
    trio(epoch="latest")
    assert published_files(folder)[0].name == "latest_net_G1.pth"


def without(state: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    return {k: v for k, v in state.items() if k != key}


DEEPEST = "model.model.1.model.3.model.3.model.3.model.3.model.3.model.3.model.4.bias"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: without(s, DEEPEST), rf"missing entry .*bias of upstream's {DEEPEST[:-5]}"),
        (lambda s: s | {"model.model.9.weight": torch.zeros(1)}, r"extra entry 'model.model.9.weight'"),
        (lambda s: s | {DEEPEST[:-4] + "scale": torch.zeros(1)}, r"extra entry .*scale of upstream's"),
        (lambda s: s | {DEEPEST: torch.zeros(3)}, r"has shape \(3,\), expected \(64,\)"),
        (lambda s: s | {DEEPEST: torch.full((64,), torch.nan)}, r"NaN or infinity"),
        (lambda s: without(s, "model.model.0.weight"), r"missing entry 'model.model.0.weight'"),
        (lambda s: s | {"model.model.0.weight": torch.zeros(4096, 4, 1, 1)}, r"base width 4096"),
        (lambda s: {"model.model.0.weight": "text"}, r"not a state dict"),
        (lambda s: [1, 2], r"holds a list"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(trio: Callable[..., Path], change: Callable[..., object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_published(trio(change))


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (f"{os.environ['EVIL_FOLDER']}/executed",)


def test_a_pickle_that_runs_code_is_refused(
    trio: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path))
    folder = trio()
    (folder / "latest_net_G2.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ModelError, match=r"latest_net_G2\.pth: refused"):
        load_published(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\3\4 half a zip"])
def test_rubbish_is_refused(trio: Callable[..., Path], content: bytes) -> None:
    folder = trio()
    (folder / "latest_net_G3.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"latest_net_G3\.pth: refused"):
        load_published(folder)


def test_missing_files_are_named(tmp_path: Path, trio: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"holds no \*_net_G1\.pth"):
        load_published(tmp_path)
    (trio() / "latest_net_G3.pth").unlink()
    with pytest.raises(ModelError, match=r"latest_net_G3\.pth: no such file"):
        load_published(tmp_path)


def test_native_weights_are_checked_entry_by_entry(tmp_path: Path) -> None:
    model = LGNet(2)
    file = tmp_path / "m.safetensors"
    metadata = {"format": "lgnet-1", "width": "4", "provenance": "{}"}
    save_file(model.state_dict(), file, metadata)
    with pytest.raises(ModelError, match=r"has shape"):
        load(file)
    save_file({"coarse.down.0.conv.weight": torch.zeros(1)}, file, metadata)
    with pytest.raises(ModelError, match=r"missing entry"):
        load(file)


def test_a_cut_off_native_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    save(LGNet(2), file, {})
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cannot be read as safetensors"):
        load(file)
