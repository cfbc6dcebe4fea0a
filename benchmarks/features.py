"""FID's features: torch-fidelity's Inception network, and a cache by content, so that no picture is seen twice."""

import hashlib
import importlib
import importlib.util
import io
import sys
import tempfile
import types
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lgnet_cli.atomic import write_bytes
from lgnet_cli.benchmarks.metrics import Image
from lgnet_cli.errors import MissingWeights
from lgnet_cli.perceptual.files import INCEPTION, WeightFile, find

LENGTH = 2048
"""Of a feature vector: the network's last pooling."""


class Features:
    """Feature vectors by the SHA-256 of the pixels: `CACHE/AB/ABCD....npy`, 8 KiB a picture."""

    def __init__(self, network: nn.Module, folder: Path, device: torch.device) -> None:
        """`network`: (N, 3, H, W) uint8 RGB -> a tuple of (N, 2048) float32."""
        self._network, self._folder, self._device = network.to(device), folder, device

    def keep(self, picture: Image) -> str:
        """See to it that the features of (H, W, 3) uint8 RGB are in the cache; their key."""
        key = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()
        file = self._file(key)
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            with torch.inference_mode():
                pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].to(self._device)
                (vectors,) = self._network(pixels)
            data = io.BytesIO()
            np.save(data, vectors[0].float().cpu().numpy())
            write_bytes(file, data.getvalue())
        return key

    def get(self, keys: Iterable[str]) -> NDArray[np.float32]:
        """(as many as keys, 2048), not in memory: mapped from a file without a name, gone with the array."""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for key in keys:
                file.write(np.load(self._file(key), allow_pickle=False).astype(np.float32).reshape(LENGTH).tobytes())
            file.flush()
            return np.asarray(np.memmap(file, np.float32, "r").reshape(-1, LENGTH))

    def has(self, key: str) -> bool:
        return self._file(key).is_file()

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npy"


def open_features(folder: Path | None, cache: Path, device: torch.device, *, file: WeightFile = INCEPTION) -> Features:
    """torch-fidelity's network with the weights of FID.

    Raises:
        MissingWeights: the weight file or the package is not here.
        ModelError: a file of that name is here, and is not the published one.
    """
    if importlib.util.find_spec("torch_fidelity") is None:
        raise MissingWeights(
            "torch-fidelity is missing",
            mend="pip install --no-deps torch-fidelity tqdm  (without torchvision, which may replace torch)",
        )
    path = find(file, folder)
    make = _module("feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    network: nn.Module = make("inception", [str(LENGTH)], feature_extractor_weights_path=str(path))
    return Features(network.eval(), cache / file.sha256[:12], device)


def _module(name: str) -> types.ModuleType:
    """One module of torch-fidelity, without running the package's `__init__`.

    That imports torchvision for data sets and networks that FID has no use for; and torchvision's builds replace a
    PyTorch of another build, or fail to import under it.
    """
    package = "torch_fidelity"
    if package in sys.modules:
        return importlib.import_module(f"{package}.{name}")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    bare = types.ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = bare
    try:
        return importlib.import_module(f"{package}.{name}")
    finally:
        for loaded in [m for m in sys.modules if m == package or m.startswith(f"{package}.")]:
            del sys.modules[loaded]  # a later `import torch_fidelity` gets the whole package
