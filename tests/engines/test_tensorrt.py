"""The runner on a device whose streams defer their work: order, overlap, padding, every error, threads, and the end."""

import gc
import os
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from fake_tensorrt import FakeDriver, FakeTensorRT, fake_machine, paint, plan_bytes

from lgnet_cli.engines import plan as plans
from lgnet_cli.engines.libraries import initialised, installed, load_tensorrt
from lgnet_cli.engines.machine import Gpu
from lgnet_cli.engines.plan import Sidecar, here, sidecar_of, write_plan
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.engines.tensorrt import TensorRtEngine, open_plan
from lgnet_cli.errors import DeviceLost, EngineError, MissingBackend, ModelError
from lgnet_cli.weights import DEFAULT_WEIGHTS
from lgnet_cli.weights.header import sha256 as file_sha256

SIDE = 256


def shapes(batch: tuple[int, int, int] = (1, 2, 4), side: tuple[int, int, int] = (SIDE, SIDE, SIDE)) -> list[list[int]]:
    return [[n, s, s, 3] for n, s in zip(batch, side, strict=True)]


def described(data: bytes, **changes: object) -> Sidecar:
    sidecar = Sidecar(
        plan_sha256=sha256(data).hexdigest(), plan_bytes=len(data), flavour="tensorrt", version="99.1", platform=here(),
        compute_capabilities=["8.9"], gpu="Fake GPU", cuda="13.0", portable=False,
        batch=[1, 2, 4], side=[SIDE] * 3,
        tensors={"image": "uint8", "mask": "uint8", "filled": "uint8"}, precision="fp16", half_tensors=154,
        float_tensors=68, attention="float", fused_kernels=0,
        onnx_sha256="0" * 64, weights="places2.safetensors", weights_sha256="1" * 64, lgnet="0.1",
    )  # fmt: skip
    return replace(sidecar, **changes)  # type: ignore[arg-type]


def written(folder: Path, data: bytes | None = None, **changes: object) -> Path:
    path = folder / "places2.plan"
    data = plan_bytes(shapes()) if data is None else data
    write_plan(path, data, described(data, **changes))
    return path


def pictures(count: int, height: int = SIDE, width: int = SIDE) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(count)
    image = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return image, (rng.random((count, height, width)) > 0.5).astype(np.uint8) * 255


@pytest.fixture
def trt() -> FakeTensorRT:
    return FakeTensorRT(FakeDriver())


@pytest.fixture
def engine(trt: FakeTensorRT, tmp_path: Path) -> TensorRtEngine:
    return open_plan(written(tmp_path), fake_machine(trt))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 13, 21])
def test_any_number_of_images_comes_back_right(engine: TensorRtEngine, count: int) -> None:
    image, mask = pictures(count)
    before = image.copy()
    filled = engine.fill(image, mask)
    np.testing.assert_array_equal(filled, paint(image, mask))
    np.testing.assert_array_equal(image, before)
    filled[:] = 0  # the caller's own
    again = engine.fill(image, mask)
    np.testing.assert_array_equal(again, paint(image, mask))


class Hasty:
    """A stream that does not wait, as a runner that forgets to synchronise would have it."""

    def __init__(self, stream: object) -> None:
        self.handle, self.give = stream.handle, stream.give  # type: ignore[attr-defined]

    def synchronize(self) -> None:
        pass


def test_the_fake_shows_a_missing_synchronisation(trt: FakeTensorRT, tmp_path: Path) -> None:
    """What the tests above rest on: with `synchronize` left out of the runner, pixels are wrong."""
    stream = trt.driver.Stream
    trt.driver.Stream = lambda flags: Hasty(stream(flags))  # type: ignore[method-assign, assignment, return-value]
    engine = open_plan(written(tmp_path), fake_machine(trt))
    image, mask = pictures(5)
    assert (engine.fill(image, mask) != paint(image, mask)).any()


def test_a_buffer_reused_too_early_would_show(trt: FakeTensorRT, tmp_path: Path) -> None:
    """The other half: a host buffer overwritten before its copy reaches the device gives the later pixels twice."""
    driver = trt.driver
    context = driver.Device(0).retain_primary_context()
    context.push()
    host, device, stream = driver.pagelocked_empty((4,), np.uint8), driver.mem_alloc(4), driver.Stream(1)
    host[:] = 1
    driver.memcpy_htod_async(int(device), host, stream)
    host[:] = 2
    stream.synchronize()
    assert driver.memory[int(device)].tolist() == [2, 2, 2, 2]


def test_neighbouring_batches_overlap_and_each_lane_keeps_its_order(engine: TensorRtEngine, trt: FakeTensorRT) -> None:
    trt.driver.fails.add("capture")  # of work that is sent as one
    engine.fill(*pictures(16))  # four batches of four
    events = trt.driver.events
    batch = ["in", "in", "compute", "out"]
    assert [e for e in events if e[1] == 1] == [(e, 1) for e in [*batch, "synchronize"] * 2]
    assert [e for e in events if e[1] == 2] == [(e, 2) for e in [*batch, "synchronize"] * 2]
    # the second batch is on its way before the first is waited for, the third before the second is
    order = [e for e in events if e[0] in ("compute", "synchronize")]
    assert order == [("compute", 1), ("compute", 2), ("synchronize", 1), ("compute", 1), ("synchronize", 2),
                     ("compute", 2), ("synchronize", 1), ("synchronize", 2)]  # fmt: skip


def test_the_last_batch_is_padded_to_the_profile_and_no_further(trt: FakeTensorRT, tmp_path: Path) -> None:
    fixed = open_plan(written(tmp_path, plan_bytes(shapes((4, 4, 4)))), fake_machine(trt))
    image, mask = pictures(6)
    np.testing.assert_array_equal(fixed.fill(image, mask), paint(image, mask))
    assert [b[0] for b in trt.batches] == [4, 4]
    trt.batches.clear()
    free = open_plan(written(tmp_path), fake_machine(trt))
    free.fill(image, mask)
    assert [b[0] for b in trt.batches] == [4, 2]


def test_other_sizes_within_the_profile_and_outside_it(trt: FakeTensorRT, tmp_path: Path) -> None:
    engine = open_plan(written(tmp_path, plan_bytes(shapes(side=(256, 256, 512)))), fake_machine(trt))
    assert (engine.info.sizes, engine.info.max_pixels) == ("256..512", 512 * 512)
    for size in ((512, 256), (256, 512), (512, 512), (256, 256)):
        image, mask = pictures(5, *size)
        np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))
    for size in ((768, 256), (256, 300)):
        with pytest.raises(EngineError, match=r"not within this engine's profile, 256\.\.512(.|\n)*build-engine"):
            engine.fill(*pictures(1, *size))
    image, mask = pictures(1)
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))


@pytest.mark.parametrize("call", ["set_input_shape", "set_tensor_address", "infer_shapes", "execute_async_v3"])
def test_every_refusal_of_tensorrt_is_an_error_and_the_engine_goes_on(
    engine: TensorRtEngine, trt: FakeTensorRT, call: str
) -> None:
    image, mask = pictures(9)
    trt.fails.add(call)
    with pytest.raises(EngineError, match="TensorRT: "):
        engine.fill(image, mask)
    trt.fails.clear()
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))


def test_an_error_of_cuda_is_an_engine_error_and_nothing_is_left_on_its_way(
    engine: TensorRtEngine, trt: FakeTensorRT
) -> None:
    trt.driver.fails.add("memcpy_dtoh_async")
    with pytest.raises(EngineError, match="CUDA failed: cuMemcpyDtoHAsync failed"):
        engine.fill(*pictures(9))
    assert not any(stream.queue for stream in trt.driver.streams)
    assert trt.driver.stack() == []
    trt.driver.fails.clear()
    image, mask = pictures(9)
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))


def test_contexts_are_pushed_and_popped_on_whatever_thread_calls(engine: TensorRtEngine, trt: FakeTensorRT) -> None:
    results: dict[int, bool] = {}

    def call(number: int) -> None:
        image, mask = pictures(number)
        results[number] = np.array_equal(engine.fill(image, mask), paint(image, mask)) and not trt.driver.stack()

    threads = [threading.Thread(target=call, args=(n,)) for n in (3, 5, 7, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {3: True, 5: True, 7: True, 9: True}


def test_closing_gives_everything_back_once(engine: TensorRtEngine, trt: FakeTensorRT) -> None:
    assert trt.driver.memory
    engine.close()
    assert not trt.driver.memory
    assert (trt.driver.pinned, trt.driver.stack()) == (0, [])
    assert trt.driver.stack() == []
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.fill(*pictures(1))


def test_a_runtime_that_cannot_start_or_a_gpu_that_is_held_says_so(trt: FakeTensorRT, tmp_path: Path) -> None:
    trt.fails.add("Runtime")
    with pytest.raises(MissingBackend, match=r"cannot start: CUDA initialization failure with error: 35\n"):
        open_plan(written(tmp_path), fake_machine(trt))
    assert (trt.driver.pinned, trt.driver.stack()) == (0, [])
    held = FakeTensorRT(FakeDriver())
    held.driver.fails.add("Device")
    with pytest.raises(MissingBackend, match=r"gives no context: (.)*already in use(.|\n)*nvidia-smi"):
        open_plan(written(tmp_path), fake_machine(held))


def test_a_driver_too_old_for_what_runs_the_plan_is_named(trt: FakeTensorRT, tmp_path: Path) -> None:
    machine = replace(fake_machine(trt), gpu=Gpu("Fake GPU", "8.9", "12.8", 24 << 30))
    with pytest.raises(MissingBackend, match=r"is for CUDA 13, and the driver serves CUDA 12\.8"):
        open_plan(written(tmp_path), machine)
    assert trt.deserialized == 0


def test_a_failed_load_gives_everything_back(trt: FakeTensorRT, tmp_path: Path) -> None:
    trt.fails.add("create_execution_context")
    with pytest.raises(ModelError, match=r"no memory for its execution(.|\n)*smaller"):
        open_plan(written(tmp_path), fake_machine(trt))
    assert (trt.driver.pinned, trt.driver.stack()) == (0, [])
    assert not trt.driver.memory


@pytest.mark.parametrize("allocation", range(1, 4))
def test_a_device_without_memory_is_named_and_gives_everything_back(
    trt: FakeTensorRT, tmp_path: Path, allocation: int
) -> None:
    trt.driver.allocations = allocation - 1
    with pytest.raises(ModelError, match=r"no memory for its buffers: cuMemAlloc failed(.|\n)*smaller --batch"):
        open_plan(written(tmp_path), fake_machine(trt))
    assert (trt.driver.pinned, trt.driver.stack()) == (0, [])
    assert not trt.driver.memory


@pytest.mark.parametrize("allocation", range(4, 7))
def test_a_device_with_memory_for_one_stream_runs_on_one_and_says_so(
    trt: FakeTensorRT, tmp_path: Path, allocation: int
) -> None:
    trt.driver.allocations = allocation - 1
    engine = open_plan(written(tmp_path), fake_machine(trt))
    assert "memory for one stream alone, which is slower" in engine.info.beware
    assert (len(trt.driver.memory), trt.driver.pinned) == (3, 3)
    image, mask = pictures(13)
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))
    engine.close()
    assert (trt.driver.memory, trt.driver.pinned) == ({}, 0)


def test_a_device_that_died_is_not_a_batch_that_failed(engine: TensorRtEngine, trt: FakeTensorRT) -> None:
    pending = engine.start(*map(list, pictures(2)))
    trt.driver.dead = True
    for call in (pending.result, lambda: engine.fill(*pictures(3))):
        with pytest.raises(DeviceLost, match=r"gives no more results: cuStreamSynchronize(.|\n)*run the same command"):
            call()
    engine.close()
    assert trt.driver.stack() == []


def test_an_error_of_tensorrts_own_is_not_called_cudas(engine: TensorRtEngine, trt: FakeTensorRT) -> None:
    trt.fails.add("infer_shapes raises")
    with pytest.raises(EngineError, match="TensorRT failed: infer_shapes"):
        engine.fill(*pictures(1))


def test_an_engine_that_is_dropped_gives_everything_back(trt: FakeTensorRT, tmp_path: Path) -> None:
    engine = open_plan(written(tmp_path), fake_machine(trt))
    engine.fill(*pictures(1))
    del engine
    gc.collect()
    assert (trt.driver.memory, trt.driver.pinned, trt.driver.stack()) == ({}, 0, [])


def test_the_context_is_retained_once_and_kept(trt: FakeTensorRT, tmp_path: Path) -> None:
    for _ in range(3):
        open_plan(written(tmp_path), fake_machine(trt)).close()
    assert (trt.driver.retained, trt.driver.detached) == (1, False)


LOAD_ERRORS = {
    "other version": ({"version": "10.3"}, r"built by tensorrt 10\.3; here is 99\.1"),
    "other system": ({"platform": "windows-amd64"}, "built on windows-amd64"),
    "other GPU": ({"compute_capabilities": ["8.6"], "gpu": "RTX 3060"}, r"for 8\.6 \(on RTX 3060\); here is 8\.9"),
    "passed off as fp16": ({"half_tensors": 0, "float_tensors": 215}, "called fp16, but 0 of 215"),
    "edited": ({"plan_sha256": "0" * 64}, "edited or belongs to another build"),
    "cut off": ({"plan_bytes": 10**6}, r"cut off: [0-9]+ of 1,000,000 bytes"),
}


@pytest.mark.parametrize("case", LOAD_ERRORS)
def test_each_load_error_has_its_words_and_its_command_and_nothing_is_deserialised(
    trt: FakeTensorRT, tmp_path: Path, case: str
) -> None:
    changes, words = LOAD_ERRORS[case]
    path = written(tmp_path, **changes)
    with pytest.raises(ModelError, match=words) as caught:
        open_plan(path, fake_machine(trt))
    assert "lgnet build-engine places2.safetensors --fp16 --backend tensorrt --batch 1,2,4 --size 256" in str(
        caught.value
    )
    assert str(path) in str(caught.value)
    assert trt.deserialized == 0


def test_a_plan_of_another_model_of_gpu_is_refused_unless_it_is_portable_or_trusted(
    trt: FakeTensorRT, tmp_path: Path
) -> None:
    """Of one compute capability: TensorRT warns of it, and the project swallowed the warning."""
    path = written(tmp_path, gpu="RTX 3070")
    with pytest.raises(
        ModelError, match=r"built on a RTX 3070, for that model of GPU alone(.|\n)*--portable"
    ) as caught:
        open_plan(path, fake_machine(trt))
    assert "--trust-engine" in str(caught.value)
    assert trt.deserialized == 0
    open_plan(path, fake_machine(trt), trust=True).close()
    open_plan(written(tmp_path, gpu="RTX 3070", portable=True), fake_machine(trt)).close()


def test_the_command_that_builds_anew_can_be_typed(tmp_path: Path) -> None:
    plan = tmp_path / "my plan.plan"
    rtx = described(b"", flavour="tensorrt-rtx", compute_capabilities=["7.5", "8.9"])
    assert "places2.safetensors --fp16 --backend tensorrt-rtx --batch 1,2,4 --size 256 --sm 75,89" in rtx.rebuild(plan)
    assert rtx.rebuild(plan).endswith(f"-o '{plan}'")
    shipped = described(b"", weights="lgnet-w16.safetensors", weights_sha256=file_sha256(DEFAULT_WEIGHTS))
    assert shipped.rebuild(plan).startswith("lgnet build-engine --fp16 --backend tensorrt ")
    with pytest.raises(ModelError, match=r"--backend tensorrt-rtx .*--sm 120 "):
        plans.check_gpu(plan, rtx, "RTX 5090", "12.0")
    with pytest.raises(ModelError, match=r"--backend tensorrt --batch"):  # TensorRT-RTX does not build for an H100
        plans.check_gpu(plan, rtx, "H100", "9.0")


def test_a_plan_without_its_sidecar_is_refused_unless_its_owner_trusts_it(trt: FakeTensorRT, tmp_path: Path) -> None:
    path = written(tmp_path)
    sidecar_of(path).unlink()
    with pytest.raises(ModelError, match=r"sidecar places2\.plan\.json cannot be read(.|\n)*--trust-engine"):
        open_plan(path, fake_machine(trt))
    assert trt.deserialized == 0
    image, mask = pictures(5)
    engine = open_plan(path, fake_machine(trt), trust=True, flavour="tensorrt-rtx")
    np.testing.assert_array_equal(engine.fill(image, mask), paint(image, mask))
    assert (engine.info.backend, engine.info.weights_sha256) == ("tensorrt-rtx", sha256(path.read_bytes()).hexdigest())


def test_trust_covers_an_edited_plan_and_not_another_version(trt: FakeTensorRT, tmp_path: Path) -> None:
    open_plan(written(tmp_path, plan_sha256="0" * 64), fake_machine(trt), trust=True).close()
    with pytest.raises(ModelError, match=r"built by tensorrt 10\.3"):
        open_plan(written(tmp_path, version="10.3"), fake_machine(trt), trust=True)


def test_what_tensorrt_refuses_is_told_in_its_words(trt: FakeTensorRT, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"99\.1 refuses it: Serialization assertion magicTagRead"):
        open_plan(written(tmp_path, b"no plan"), fake_machine(trt))
    trt.fails.add("foreign")
    with pytest.raises(ModelError, match="not one of lgnet's"):
        open_plan(written(tmp_path), fake_machine(trt))


def test_missing_parts_are_named(trt: FakeTensorRT, tmp_path: Path) -> None:
    path = written(tmp_path)
    for missing in ("tensorrt", "driver"):
        with pytest.raises(MissingBackend, match=missing):
            open_plan(path, fake_machine(trt, missing=(missing,)))
    with pytest.raises(MissingBackend, match="no NVIDIA driver or GPU is here"):
        open_plan(path, fake_machine(trt, gpu=False, missing=("driver",)))
    trt.driver.fails.add("init")
    with pytest.raises(MissingBackend, match=r"no NVIDIA driver or device answers: cuInit failed(.|\n)*nvidia-smi"):
        initialised(trt.driver)  # type: ignore[arg-type]
    assert trt.deserialized == 0


@pytest.mark.skipif(installed("tensorrt"), reason="TensorRT is here")
def test_tensorrt_that_is_not_here_is_missed_by_name() -> None:
    with pytest.raises(MissingBackend, match=r"tensorrt cannot be used here(.|\n)*pip install 'lgnet\[tensorrt\]'"):
        load_tensorrt("tensorrt")


def test_pycuda_without_a_driver_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    why = "libcuda.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "pycuda" / "driver.py").write_text(f"raise ImportError({why!r})\n")
    code = "from lgnet_cli.engines.libraries import load_driver; load_driver()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "no NVIDIA driver is here: libcuda.so.1" in done.stderr
    assert "pip install" not in done.stderr


def test_a_profile_that_wants_too_much_memory_is_refused_before_it_is_asked_for(
    trt: FakeTensorRT, tmp_path: Path
) -> None:
    huge = plan_bytes(shapes((1, 1, 1024), (256, 256, 4096)))
    with pytest.raises(ModelError, match="bytes of buffers"):
        open_plan(written(tmp_path, huge), fake_machine(trt))


def test_sidecars_from_anywhere_are_checked_before_they_are_believed(tmp_path: Path) -> None:
    path = written(tmp_path)
    good = sidecar_of(path).read_text()
    for text, words in (
        ("", "not JSON"), ("[]", "not a sidecar"), ('{"format": "x"}', "not a sidecar"), ("[" * 50_000, "JSON|sidecar"),
        (good.replace('"plan_bytes": ', '"plan_bytes": -'), "wrong kind: plan_bytes"),
        (good.replace('"fp16"', '"FP16"'), "wrong kind: precision"),
        (good.replace('"tensorrt"', '"another"'), "wrong kind: flavour"),
        (good.replace("Fake GPU", "\\u001b[2J"), "wrong kind: gpu"), (good.replace("Fake GPU", "x" * 300), "kind: gpu"),
        (good.replace('"batch"', '"butch"'), "wrong kind: batch"), (good + " " * plans.MAX_SIDECAR, "not a sidecar"),
    ):  # fmt: skip
        sidecar_of(path).write_text(text)
        with pytest.raises(ModelError, match=words):
            plans.read_sidecar(path)


def test_a_crash_between_plan_and_sidecar_is_explained(trt: FakeTensorRT, tmp_path: Path) -> None:
    """The sidecar gets its name first: what a crash leaves is the old plan beside the new sidecar."""
    path = written(tmp_path)
    old = path.read_bytes()
    written(tmp_path, plan_bytes(shapes((1, 1, 8))))
    path.write_bytes(old)
    with pytest.raises(ModelError, match="another build"):
        open_plan(path, fake_machine(trt))
    assert trt.deserialized == 0


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    written(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["places2.plan", "places2.plan.json"]
    blocked = tmp_path / "folder.plan"
    blocked.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_plan(blocked, b"x", described(b"x"))
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []
