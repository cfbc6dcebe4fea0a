"""LPIPS against the package of its authors: same random networks, same pictures, their heads."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reference import imported

from lgnet_cli.errors import MissingWeights
from lgnet_cli.perceptual.files import ALEXNET, VGG16, WeightFile
from lgnet_cli.perceptual.lpips import lpips_alex, lpips_vgg
from lgnet_cli.perceptual.networks import Lpips


@pytest.mark.parametrize(("net", "file", "make"), [("alex", ALEXNET, lpips_alex), ("vgg", VGG16, lpips_vgg)])
def test_lpips_is_its_packages(net: str, file: WeightFile, make: Callable[..., Lpips], tmp_path: Path) -> None:
    with imported("lpips") as lpips:
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        path = tmp_path / file.name
        torch.save({f"features.{k.split('.', 1)[1]}": v for k, v in theirs.net.state_dict().items()}, path)
        ours = make(tmp_path, network=replace(file, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
        a, b = (torch.rand(2, 3, 96, 80, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in (0, 1))
        with torch.no_grad():
            found, expected = ours(a, b), theirs(a, b).flatten()
            once = ours.compare(ours.network(a[:1]), ours.network(b))
            apart = theirs(a[:1].repeat(2, 1, 1, 1), b).flatten()
    assert (expected > 1e-3).all()  # the random network tells the two apart
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(once, apart, rtol=1e-5, atol=1e-7)


def test_without_the_network_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # a developer may have the file
    with pytest.raises(MissingWeights, match=r"alexnet-owt-7be5be79\.pth is missing"):
        lpips_alex(tmp_path)
