"""Where published weight files are found, and what is refused."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgnet_cli.errors import MissingWeights, ModelError
from lgnet_cli.perceptual.files import ST_ALEXNET, VGG16, WeightFile, find, read


def published(folder: Path, state: object) -> WeightFile:
    """A file as VGG16's, with other contents."""
    path = folder / VGG16.name
    torch.save(state, path)
    return replace(VGG16, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_missing_file_says_where_it_looked_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=str(tmp_path)) as error:
        find(VGG16, tmp_path)
    assert f"download https://download.pytorch.org/models/vgg16-397923af.pth into {tmp_path}" in str(error.value)


def test_torch_home_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    file = published(folder, {"a": torch.ones(2)})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find(file) == folder / file.name
    assert read(file)["a"].tolist() == [1, 1]


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    published(tmp_path, {"a": torch.ones(2)})
    with pytest.raises(ModelError, match="SHA-256"):
        find(VGG16, tmp_path)


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


@pytest.mark.parametrize("state", [Runs(), {"a": Runs()}, [1, 2], {"a": 1}])
def test_what_is_no_state_dict_is_refused_and_not_run(
    state: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = published(tmp_path, state)
    with pytest.raises(ModelError):
        read(file, tmp_path)
    assert capsys.readouterr().out == ""


def test_file_inside_an_installed_package_is_found() -> None:
    assert find(ST_ALEXNET).name == ST_ALEXNET.name
