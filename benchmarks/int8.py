"""NetC and NetL in INT8, what it gains and loses: `python -m lgnet_cli.benchmarks.int8 CALIBRATION PHOTOS`.

Needs the `torch` and `openvino` extras and `pip install nncf`. Quantised after training, weights a channel and
activations a tensor: by ONNX Runtime's own tool (convolutions; it cannot run transposed ones in INT8), and by NNCF for
OpenVINO (convolutions, and with transposed ones). Speed is of one thread's processor time, crops and masks as in
`windows.py`; PSNR is that of `lgnet bench quality --generate-masks`. NetG stays as it is. Nothing is kept.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lgnet_cli.benchmarks.metrics import psnr_db
from lgnet_cli.benchmarks.samples import MadeUp, find_photos, read_photo, square
from lgnet_cli.benchmarks.windows import KINDS, Crop, crops_of, spread
from lgnet_cli.engines.export import export_onnx
from lgnet_cli.engines.onnxruntime import OnnxRuntimeEngine
from lgnet_cli.engines.openvino import OpenVinoEngine
from lgnet_cli.engines.protocol import Engine
from lgnet_cli.imaging.masks import as_bytes
from lgnet_cli.imaging.strokes import BUCKETS, LABELS, random_hole
from lgnet_cli.model import load
from lgnet_cli.weights import DEFAULT_WEIGHTS

SIZE = 256
INT8 = ("net.coarse.", "net.local.")  # weights' names begin so
PAIRS = {"ONNX Runtime": "onnxruntime", "NNCF": "openvino", "NNCF, convolutions alone": "openvino"}
"""{INT8 engine: what it is held against in float32}."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calibration", type=Path, help="folder of photos to quantise with, other than PHOTOS")
    parser.add_argument("photos", type=Path, help="folder of photos to measure on")
    parser.add_argument("--samples", type=int, default=200, help="photos to quantise with")
    parser.add_argument("--limit", type=int, default=100, help="photos to measure on, at most")
    parser.add_argument("--crops", type=int, default=40, help="crops a kind of mask that the engines are timed on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        engines = _engines(_samples(options.calibration, options.samples), Path(name))
    print("| | " + " | ".join(PAIRS) + " |\n|---|---|---|---|")
    photos = sorted(options.photos.iterdir())[: options.limit]
    for kind, draw in KINDS.items():
        seconds = _seconds(engines, spread(list(crops_of(photos, draw)), options.crops))
        _row(f"times faster: {kind}", [f"{seconds[plain] / seconds[ours]:.2f}" for ours, plain in PAIRS.items()])
    for bucket, psnr in _psnr(engines, options.photos, options.limit).items():
        _row(f"dB gained: {bucket} %", [f"{psnr[ours] - psnr[plain]:+.3f}" for ours, plain in PAIRS.items()])


def _row(name: str, cells: list[str]) -> None:
    print(f"| {name} |", *(f"{cell} |" for cell in cells), flush=True)


def _samples(folder: Path, count: int) -> list[dict[str, Any]]:
    """What to quantise with: centre squares, under masks of all buckets in turn."""
    rng, found = np.random.default_rng(1), []
    for number, photo in enumerate(find_photos(folder, count)):
        hole = random_hole(rng, SIZE, BUCKETS[number % len(BUCKETS)])
        found.append({"image": square(read_photo(photo), SIZE)[None], "mask": as_bytes(hole)[None]})
    return found


def _engines(samples: list[dict[str, Any]], folder: Path) -> dict[str, Engine]:
    graph = folder / "float.onnx"
    export_onnx(load(DEFAULT_WEIGHTS), graph)
    _by_onnxruntime(graph, samples, folder / "int8.onnx")
    _by_nncf(graph, samples, ("Convolution", "ConvolutionBackpropData"), folder / "all.xml")
    _by_nncf(graph, samples, ("Convolution",), folder / "convolutions.xml")
    return {
        "onnxruntime": OnnxRuntimeEngine(graph, threads=1),
        "openvino": OpenVinoEngine(graph, threads=1),
        "ONNX Runtime": OnnxRuntimeEngine(folder / "int8.onnx", threads=1),
        "NNCF": OpenVinoEngine(folder / "all.xml", threads=1),
        "NNCF, convolutions alone": OpenVinoEngine(folder / "convolutions.xml", threads=1),
    }


def _by_onnxruntime(graph: Path, samples: list[dict[str, Any]], out: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        left = iter(samples)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    nodes = [n.name for n in onnx.load(graph).graph.node if n.op_type == "Conv" and n.input[1].startswith(INT8)]
    quantize_static(
        graph, out, Samples(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, nodes_to_quantize=nodes, op_types_to_quantize=["Conv"],
    )  # fmt: skip


def _by_nncf(graph: Path, samples: list[dict[str, Any]], kinds: tuple[str, ...], out: Path) -> None:
    import nncf
    import openvino

    nncf.set_log_level("ERROR")  # it would name every layer that is left out
    model = openvino.Core().read_model(graph)
    left_out = [op.get_friendly_name() for op in model.get_ordered_ops() if not _is_chosen(op, kinds)]
    scope = nncf.IgnoredScope(names=left_out, validate=False)
    data = nncf.Dataset(samples)
    made = nncf.quantize(
        model, data, subset_size=len(samples), ignored_scope=scope, preset=nncf.QuantizationPreset.MIXED
    )
    openvino.save_model(made, out, compress_to_fp16=False)


def _is_chosen(op: Any, kinds: tuple[str, ...]) -> bool:
    return op.get_type_name() in kinds and op.input_value(1).get_node().get_friendly_name().startswith(INT8)


def _seconds(engines: dict[str, Engine], crops: list[Crop]) -> dict[str, float]:
    """Processor time of all crops, one a call, the engines in turn."""
    totals = dict.fromkeys(engines, 0.0)
    for engine in engines.values():
        engine.fill(*crops[-1])  # the first call allocates
    for crop in crops:
        for name, engine in engines.items():
            started = time.process_time()
            engine.fill(*crop)
            totals[name] += time.process_time() - started
    return totals


def _psnr(engines: dict[str, Engine], folder: Path, limit: int) -> dict[str, dict[str, float]]:
    """{bucket: {engine: mean PSNR}}."""
    found: dict[str, dict[str, list[float]]] = {label: {name: [] for name in engines} for label in LABELS}
    for photo in find_photos(folder, limit):
        picture = read_photo(photo)
        image = square(picture, SIZE)
        for sample in MadeUp(0).of(photo, picture, SIZE):
            for name, engine in engines.items():
                filled = engine.fill(image[None], as_bytes(sample.hole)[None])[0]
                found[sample.bucket][name].append(psnr_db(filled, image))
    return {bucket: {name: float(np.mean(all_)) for name, all_ in row.items()} for bucket, row in found.items()}


if __name__ == "__main__":
    main()
