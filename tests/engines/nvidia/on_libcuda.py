"""Run by test_driver.py in a process of its own, where libcuda.so.1 is the fake one: lgnet's runner and its real calls
of the driver, on a TensorRT that computes in host memory."""

import ctypes
import gc
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
import fake_tensorrt as fake

from lgnet_cli.engines import libraries
from lgnet_cli.engines.machine import this_machine
from lgnet_cli.engines.plan import Sidecar, here, write_plan
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.engines.tensorrt import TensorRtEngine, open_plan
from lgnet_cli.errors import DeviceLost, LgnetError
from lgnet_cli.spec import FILLED, IMAGE, MASK

cuda = ctypes.CDLL("libcuda.so.1")
SHAPES = [[n, 256, 256, 3] for n in (1, 2, 4)]


class Context(fake.ExecutionContext):
    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle
        image, mask = (self._at(name) for name in (IMAGE, MASK))
        self._at(FILLED, IMAGE)[:] = fake.paint(image, mask)
        return True

    def _at(self, name: str, shaped_as: str = "") -> Pixels:
        shape = self.shapes[shaped_as or name]
        memory = (ctypes.c_uint8 * int(np.prod(shape))).from_address(self.addresses[name])
        return np.ctypeslib.as_array(memory).reshape(shape)


class Engine(fake.Engine):
    def create_execution_context(self, runtime_config: Any = None) -> Context:
        return Context(self)


class Runtime:
    def __init__(self, trt: Any) -> None:
        self.trt = trt

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine:
        return Engine(self.trt, [SHAPES], fake.paint)


class TensorRT(fake.FakeTensorRT):
    def Runtime(self, log: Any) -> Runtime:  # type: ignore[override]  # noqa: N802
        return Runtime(self)


TRT = TensorRT(fake.FakeDriver())
FOLDER = tempfile.TemporaryDirectory()
PLAN = Path(FOLDER.name, "x.plan")
MACHINE = replace(this_machine(), tensorrt=lambda flavour: TRT, cuda_of=lambda flavour: 13)  # type: ignore[return-value, arg-type]
write_plan(PLAN, b"plan", Sidecar(
    sha256(b"plan").hexdigest(), 4, "tensorrt", "99.1", here(), ["8.9"], "Fake RTX", "13.0", False, [1, 2, 4],
    [256] * 3, {},
    "fp16", 187, 56, "fused", 9, "0" * 64, "w", "1" * 64, "0.1",
))  # fmt: skip


def pictures(count: int) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(count)
    image = rng.integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
    return image, (rng.random((count, 256, 256)) > 0.5).astype(np.uint8) * 255


def opened() -> TensorRtEngine:
    return open_plan(PLAN, MACHINE)


def right(engine: TensorRtEngine, count: int = 9) -> bool:
    image, mask = pictures(count)
    return bool((engine.fill(image, mask) == fake.paint(image, mask)).all())


def on_a_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def error_of(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except Exception as error:  # whatever it is, the caller judges it
        return error
    return None


def balanced() -> None:
    gc.collect()
    assert (cuda.fake_depth(), cuda.fake_live()) == (0, 0), (cuda.fake_depth(), cuda.fake_live())
    assert cuda.fake_retained() == 1  # the process's, until it ends


def open_and_close() -> None:
    for _ in range(3):
        engine = opened()
        assert right(engine)
        assert cuda.fake_live() == 14  # two lanes: a stream and six buffers each
        on_a_thread(partial(right, engine))
        engine.close()
        balanced()


def two_at_once() -> None:
    first, second = opened(), opened()
    assert right(first)
    first.close()
    assert right(second)
    second.close()
    balanced()


def on_other_threads() -> None:
    """Opened on a thread that ends, closed on another, dropped on a third."""
    engines: list[TensorRtEngine] = []
    on_a_thread(lambda: engines.append(opened()))
    assert right(engines[0])
    on_a_thread(engines[0].close)
    balanced()
    engines[0] = opened()
    on_a_thread(lambda: (engines.clear(), gc.collect()))
    balanced()


def after_failures_in_every_call() -> None:
    """The n-th call of the driver finds no memory, for every n of opening and of filling."""
    opened().close()  # keeps the context
    for number in range(1, 100):
        cuda.fake_fail_at(number)
        error = error_of(open_and_fill)
        reached = cuda.fake_calls() >= number
        cuda.fake_fail_at(0)
        assert error is None or (isinstance(error, LgnetError) and "out of memory" in str(error)), error
        del error  # its traceback holds a stream
        balanced()
        if not reached:
            break
    assert 20 < number < 99
    print(f"{number - 1} calls failed, one at a time")


def open_and_fill() -> None:
    engine = opened()
    try:
        assert right(engine)
    finally:
        engine.close()


def a_dead_context() -> None:
    engine = opened()
    assert right(engine)
    pending = engine.start(*map(list, pictures(3)))
    cuda.fake_die(1)
    for call in (pending.result, partial(right, engine), lambda: engine.start(*map(list, pictures(1)))):
        error = error_of(call)
        assert isinstance(error, DeviceLost), error
        assert "an illegal memory access was encountered" in str(error)
        del error
    engine.close()
    gc.collect()
    assert cuda.fake_depth() == 0


def an_engine_that_nobody_closes() -> None:
    """Ends the process; what is left then is said by the last finalizer of all."""
    global kept
    kept = opened()
    assert right(kept)


def captured() -> None:
    """A driver that cannot capture is done without; one that can is called as the real one wants it."""
    engine = opened()
    for _ in range(4):
        assert right(engine, 2)
    assert engine.captured().startswith("no: cuStreamBeginCapture_v2 failed")
    engine.close()
    balanced()
    cuda.fake_capture(1)
    driver = libraries.own_driver()
    engine = opened()
    with engine._held.gpu.current():
        stream = driver.Stream(1)  # type: ignore[attr-defined]
        graph = driver.capture(stream, lambda: True)
        graph.launch(stream)
        graph.launch(stream)
        assert cuda.fake_launches() == 2
        graph.free()
        assert "cannot be captured" in str(error_of(partial(driver.capture, stream, lambda: False)))
        del stream
    engine.close()
    balanced()


def measured() -> None:
    engine = opened()
    image, mask = pictures(3)
    for _ in range(2):
        seconds = engine.device_seconds(image, mask)
        assert len(seconds) == 3
        assert all(0 <= s < 1 for s in seconds)
        assert right(engine)
    assert engine.memory() == (20 << 30, 24 << 30)
    engine.close()
    balanced()


def driver_of_the_process() -> None:
    driver = libraries.load_driver()
    assert driver is libraries.load_driver()
    assert driver.Device(0).name() == "Fake RTX"
    assert "invalid device ordinal" in str(error_of(lambda: driver.Device(1)))
    print(getattr(driver, "name", "pycuda"))


if __name__ == "__main__":
    import weakref

    class Last:
        pass

    last = Last()
    weakref.finalize(last, lambda: print("at the end:", cuda.fake_depth(), cuda.fake_retained(), cuda.fake_live()))
    globals()[sys.argv[1]]()
