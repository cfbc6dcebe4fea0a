"""NetL around the holes gives what NetL gives there, wherever they are; and computes less."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_cli.engines.export import fold_batchnorm
from lgnet_cli.engines.onnxruntime import OnnxRuntimeEngine
from lgnet_cli.engines.openvino import OpenVinoEngine
from lgnet_cli.engines.protocol import Engine, Pixels
from lgnet_cli.engines.torch import fill_with
from lgnet_cli.engines.windows import AroundHoles
from lgnet_cli.model import LGNet, load_published
from lgnet_cli.model.lgnet import LocalNet
from lgnet_cli.weights import DEFAULT_GRAPH

FIXTURE = Path(__file__).parent.parent / "fixtures" / "official_w8_256"
Box = tuple[int, int, int, int]  # top, left, height, width; cut off at the picture's border
ENGINES = {"onnxruntime": OnnxRuntimeEngine, "openvino": OpenVinoEngine}


@pytest.fixture(scope="module")
def model() -> LGNet:
    """Random weights and BatchNorm statistics: a pixel that is read and should not be shows."""
    return load_published(FIXTURE)


@pytest.fixture(scope="module")
def local(model: LGNet) -> LocalNet:
    return fold_batchnorm(model).local


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(official_graph: Path, request: pytest.FixtureRequest) -> Engine:
    made: Engine = ENGINES[request.param](official_graph)
    return made


def pictures(height: int, width: int, *holes: list[Box]) -> tuple[Pixels, Pixels]:
    """Noise, and a mask with the boxes of each picture."""
    image = np.random.default_rng(0).integers(0, 256, (len(holes), height, width, 3), dtype=np.uint8)
    mask = np.zeros((len(holes), height, width), np.uint8)
    for one, boxes in zip(mask, holes, strict=True):
        for top, left, high, wide in boxes:
            one[top : top + high, left : left + wide] = 255
    return image, mask


def boxes(side: int) -> st.SearchStrategy[Box]:
    place = st.integers(0, side - 1)
    return st.tuples(place, place, st.integers(1, 90), st.integers(1, 90))


@settings(max_examples=20, deadline=None)
@given(first=boxes(256), second=boxes(256))
def test_netl_around_the_holes_is_netl_in_the_holes(local: LocalNet, first: Box, second: Box) -> None:
    image, mask = (torch.from_numpy(a) for a in pictures(256, 256, [first, second]))
    hole = (mask > 0).float()[:, None]
    x = torch.cat([image.permute(0, 3, 1, 2) / 127.5 - 1, hole], dim=1)
    with torch.inference_mode():
        whole, ours = local(x), AroundHoles(*local)(x)
    assert ours.shape == whole.shape
    # float32 sums in another order; a margin one cell too small is off by 2e-2 and more
    assert ((ours - whole).abs() * hole).max() < 1e-4


WHERE = {
    "no hole": [],
    "everything": [(0, 0, 256, 256)],
    "one pixel": [(131, 90, 1, 1)],
    "off the grid": [(101, 87, 31, 42)],
    "far apart": [(3, 200, 20, 20), (220, 10, 9, 33)],
    **{
        f"at row {top}, column {left}": [(top, left, 30, 30)]
        for top in (0, 113, 226)
        for left in (0, 113, 226)
        if top != 113 or left != 113
    },
}


@pytest.mark.parametrize("where", WHERE)
def test_engines_fill_as_the_whole_network_does(model: LGNet, engine: Engine, where: str) -> None:
    check(model, engine, *pictures(256, 256, WHERE[where]))


def test_a_batch_has_one_window_around_all_its_holes(model: LGNet, engine: Engine) -> None:
    check(model, engine, *pictures(256, 256, [(0, 20, 40, 40)], [], [(150, 226, 9, 30)]))


@pytest.mark.parametrize("size", [(512, 256), (256, 768)])
def test_windows_at_other_sizes(model: LGNet, engine: Engine, size: tuple[int, int]) -> None:
    height, width = size
    check(model, engine, *pictures(height, width, [(height - 60, width - 31, 60, 20)]))


def check(model: LGNet, engine: Engine, image: Pixels, mask: Pixels) -> None:
    filled, whole = engine.fill(image, mask), fill_with(model)(image, mask)
    assert np.abs(filled.astype(int) - whole).max() <= 1  # a value next to x.5 may round either way
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])


def test_layers_get_the_hole_and_what_they_read_around_it(local: LocalNet) -> None:
    """In positions of each layer; at the border there is less."""
    ours = AroundHoles(*copy.deepcopy(local))
    seen: dict[int, tuple[int, int]] = {}
    for index, layer in enumerate(ours):
        layer.register_forward_pre_hook(lambda _, inputs, index=index: seen.update({index: inputs[0].shape[2:]}))
    x = torch.zeros(1, 4, 256, 256)
    x[:, 3, 0:40, 100:160] = 1
    with torch.inference_mode():
        ours(x)
    assert {index: tuple(seen[index]) for index in (0, 9, 10, 12, 13, 16, 19)} == {
        0: (40 + 44, 60 + 88),
        9: (10 + 11, 15 + 22),
        10: (10 + 8, 15 + 16),
        12: (10 + 4, 15 + 8),
        13: (10 + 2, 15 + 4),
        16: (20 + 2, 30 + 4),
        19: (40 + 4, 60 + 8),
    }


def test_graphs_for_cpus_have_windows_and_those_for_gpus_have_none(official_graph: Path, full_graph: Path) -> None:
    assert said_of(DEFAULT_GRAPH) == said_of(official_graph) == "around the holes"
    assert said_of(full_graph) == "everywhere"


def said_of(path: Path) -> str:
    graph = onnx.load(path, load_external_data=False)
    return next(entry.value for entry in graph.metadata_props if entry.key == "lgnet.local")
