"""FID, KID and their features against torch-fidelity itself, run whole on the same pictures and random weights."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import imported
from torch import Tensor, nn

from lgnet_cli.benchmarks.distances import fid, kid
from lgnet_cli.benchmarks.features import Features, open_features
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.errors import MissingWeights
from lgnet_cli.perceptual.files import INCEPTION
from lgnet_cli.weights.header import sha256

CPU = torch.device("cpu")
COUNT = 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On a machine that others use too, two threads that wait for each other take ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_inception(make: type, path: Path) -> None:
    """Write random weights of Inception's layout: the network's class builds it, and is not let load anything."""

    class Unloaded(make):  # type: ignore[misc]
        def load_state_dict(self, state: dict[str, Tensor], *rest: object) -> None:
            assert state == {}

    torch.save({}, path)
    torch.manual_seed(0)
    network = Unloaded("random", ["2048"], feature_extractor_weights_path=str(path))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # features of order 1, which differ from picture to picture
    torch.save(network.state_dict(), path)


class Pictures(torch.utils.data.Dataset[Tensor]):
    """As torch-fidelity takes them: (3, H, W) uint8."""

    def __init__(self, pictures: list[Pixels]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.pictures[index].transpose(2, 0, 1).copy())


def test_features_fid_and_kid_are_torch_fidelitys(photo: Callable[..., Pixels], tmp_path: Path) -> None:
    """The formulas on an eighth of the features: the reference's takes half a minute on all."""
    pictures = [photo(64, 64, seed=i) for i in range(2 * COUNT)]
    path = tmp_path / INCEPTION.name
    with imported("torch_fidelity") as reference:
        random_inception(reference.FeatureExtractorInceptionV3, path)
        network = reference.FeatureExtractorInceptionV3("own", ["2048"], feature_extractor_weights_path=str(path))
        (theirs,) = network(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
        formulas = reference.metric_fid, reference.metric_kid
    features = open_features(tmp_path, tmp_path / "cache", CPU, file=replace(INCEPTION, sha256=sha256(path)))
    ours = features.get([features.keep(picture) for picture in pictures])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))  # float32
    a, b = theirs[:COUNT, ::8], theirs[COUNT:, ::8]
    statistics = [formulas[0].fid_features_to_statistics(vectors) for vectors in (a, b)]
    expected = formulas[0].fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert expected > 1e-3
    assert fid(a.numpy(), b.numpy()) == pytest.approx(expected, rel=1e-5)
    found = formulas[1].kid_features_to_metric(a, b, kid_subset_size=COUNT, verbose=False)
    assert kid(a.numpy(), b.numpy()) == pytest.approx(found["kernel_inception_distance_mean"], abs=1e-5)


@pytest.mark.slow  # its square root of a 2048 x 2048 matrix
def test_fid_and_kid_of_two_folders_are_torch_fidelitys(photo: Callable[..., Pixels], tmp_path: Path) -> None:
    sets = [[photo(64, 64, seed=10 * s + i) for i in range(COUNT)] for s in (0, 1)]
    path = tmp_path / INCEPTION.name
    with imported("torch_fidelity") as reference:
        random_inception(reference.FeatureExtractorInceptionV3, path)
        expected = reference.calculate_metrics(
            input1=Pictures(sets[0]), input2=Pictures(sets[1]), fid=True, kid=True, kid_subset_size=COUNT,
            kid_subsets=100, cuda=False, cache=False, verbose=False, save_cpu_ram=True, batch_size=COUNT,
            feature_extractor_weights_path=str(path),
        )  # fmt: skip
    features = open_features(tmp_path, tmp_path / "cache", CPU, file=replace(INCEPTION, sha256=sha256(path)))
    a, b = (features.get([features.keep(picture) for picture in pictures]) for pictures in sets)
    assert fid(a, b) == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
    assert kid(a, b) == pytest.approx(expected["kernel_inception_distance_mean"], abs=1e-5)


class Counting(nn.Module):
    """Satisfies what `Features` asks of a network, and counts its calls."""

    calls = 0

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        self.calls += 1
        return (pixels.float().mean(dim=(1, 2, 3))[:, None].repeat(1, 2048),)


def test_a_picture_is_seen_once(photo: Callable[..., Pixels], tmp_path: Path) -> None:
    network = Counting()
    features = Features(network, tmp_path, CPU)
    first, again, other = (features.keep(photo(32, 32, seed=seed)) for seed in (1, 1, 2))
    assert (first == again, first == other, network.calls) == (True, False, 2)
    later = Features(network, tmp_path, CPU)  # another run, another method
    assert later.keep(photo(32, 32, seed=2)) == other
    assert network.calls == 2
    expected = [[photo(32, 32, seed=seed).mean()] * 2048 for seed in (2, 1)]
    np.testing.assert_allclose(later.get([other, first]), expected, rtol=1e-5)


def test_features_are_mapped_and_leave_no_file(photo: Callable[..., Pixels], tmp_path: Path) -> None:
    features = Features(Counting(), tmp_path, CPU)
    keys = [features.keep(photo(32, 32, seed=seed)) for seed in range(4)]
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    found = features.get(keys[i % 4] for i in range(2000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < found.nbytes / 10  # 16 MB, of which nothing stays in memory
    assert sorted(tmp_path.rglob("*")) == before
    np.testing.assert_array_equal(found[:4], found[1996:])


def test_without_the_weights_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # a developer may have the file
    with pytest.raises(MissingWeights, match=r"pip install|download"):
        open_features(tmp_path, tmp_path / "cache", CPU)
