"""One stream of a plan, with its buffers and execution context: a batch goes in, and comes out some time later."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from lgnet_cli.engines import tensorrt_api as api
from lgnet_cli.engines.libraries import CudaEvent, CudaMemory, Driver, Graph, Graphs, HostAllocation
from lgnet_cli.engines.protocol import Pixels
from lgnet_cli.engines.tensorrt_log import Words
from lgnet_cli.errors import EngineError, ModelError
from lgnet_cli.spec import FILLED, IMAGE, MASK

from .profile import MAX_BUFFERS, Profile

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: it waits for nothing that others, PyTorch say, do on the default stream."""

SMALL = 4
"""Images in a batch whose kernels are sent as a graph. In larger ones each takes longer than to send it."""

MAIN, SINGLE = 0, 1
"""A plan's profiles: of its batches; and, where it has one, of single images."""


class Batch:
    """One on its way. `result` is there once its lane has collected it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.result: Pixels | None = None
        self.lost = ""  # why it never will be


class Lane:
    """At most one batch is on its way. The device's context must be current in every call."""

    def __init__(
        self,
        plan: Path,
        engine: api.ICudaEngine,
        profile: Profile,
        driver: Driver,
        words: Words,
        config: api.IRuntimeConfig | None = None,
        graphs: Graphs | None = None,
    ) -> None:
        """Raises ModelError where there is no memory for it.

        `config` is TensorRT-RTX's, which captures graphs itself; `graphs` captures them for TensorRT.
        """
        if profile.buffer_bytes > MAX_BUFFERS:
            raise ModelError(
                f"{plan}: its profile wants over {MAX_BUFFERS:,} bytes of buffers", mend="build a smaller one"
            )
        self._driver, self._words, self._least = driver, words, profile.batch[0]
        self._singles = engine.num_optimization_profiles > SINGLE
        self._pending: tuple[Batch, Pixels, Pixels] | None = None  # (batch, page-locked result, where it belongs)
        self._graphs = graphs
        self._graph: Graph | None = None
        self._repeats = 0  # batches of this shape before this one
        self.captured = "" if config else "not tried"  # whether small batches run as a graph, in words
        self._marks: tuple[CudaEvent, ...] = ()  # between copies and kernels, to measure
        self._marking = False
        self._shape: tuple[int, ...] = ()  # that the context is set to
        self._chosen = MAIN  # profile, likewise
        self._device: dict[str, CudaMemory] = {}
        self._host: dict[str, Pixels] = {}
        pixels = profile.batch[2] * profile.side[2] ** 2
        sizes = {IMAGE: 3 * pixels, MASK: pixels, FILLED: 3 * pixels}
        smaller = "build it with a smaller --batch or --size, or free the GPU's memory: nvidia-smi"
        try:
            self._stream = driver.Stream(NON_BLOCKING)
            context = engine.create_execution_context(config) if config else engine.create_execution_context()
            for name, size in sizes.items():
                self._host[name] = driver.pagelocked_empty((size,), np.uint8)
                self._device[name] = driver.mem_alloc(size)
        except Exception as error:  # of pycuda
            self._give_back()
            raise ModelError(f"{plan}: no memory for its buffers: {error}", mend=smaller) from error
        if context is None:
            self._give_back()
            raise ModelError(f"{plan}: no memory for its execution: {words.last()}", mend=smaller)
        self._context = context

    def launch(self, images: Sequence[Pixels], masks: Sequence[Pixels], result: Pixels) -> Batch:
        """Send (H, W, 3) images and (H, W) masks of one shape on their way; they are copied before this returns.

        Too few for the plan are padded with what lies about. Once collected, the batch's result is in `result`.
        """
        count = max(len(images), self._least)
        height, width = masks[0].shape
        self._set_shape(count, height, width)
        host = {name: self._host[name][: count * height * width * n].reshape(count, height, width, *colours)
                for name, n, colours in ((IMAGE, 3, (3,)), (MASK, 1, ()), (FILLED, 3, (3,)))}  # fmt: skip
        for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
            host[IMAGE][i], host[MASK][i] = image, mask
        host[MASK][len(masks) :] = 0
        self._mark(0)
        for name in (IMAGE, MASK):
            self._driver.memcpy_htod_async(int(self._device[name]), host[name], self._stream)
        self._mark(1)
        self._compute(count)
        self._mark(2)
        self._driver.memcpy_dtoh_async(host[FILLED], int(self._device[FILLED]), self._stream)
        self._mark(3)
        batch = Batch(len(images))
        self._pending = (batch, host[FILLED][: len(images)], result)
        return batch

    def collect(self) -> None:
        """Wait for the batch on its way, if there is one, and hand its result over."""
        if self._pending is None:
            return
        (batch, filled, result), self._pending = self._pending, None
        batch.lost = "the batch was given up"  # unless the next lines end well
        self._stream.synchronize()
        result[:] = filled
        batch.result, batch.lost = result, ""

    def seconds(self, images: Sequence[Pixels], masks: Sequence[Pixels]) -> tuple[float, float, float]:
        """How long the device took to copy a batch in, to compute it, and to copy it out, by its own clock."""
        self._marks = self._marks or tuple(self._driver.Event() for _ in range(4))
        marks, self._marking = self._marks, True
        try:
            self.launch(images, masks, np.empty((len(images), *images[0].shape), np.uint8))
            self.collect()
        finally:
            self._marking = False
        began, copied_in, computed, copied_out = marks
        spans = ((began, copied_in), (copied_in, computed), (computed, copied_out))
        first, second, third = (start.time_till(end) / 1000 for start, end in spans)
        return first, second, third

    def _compute(self, count: int) -> None:
        """Send the kernels: of a small batch, whose many launches take longer than they do, as one graph.

        TensorRT wants a shape's first batch sent as it is, and the second is captured. A graph is of one shape and of
        the buffers, which never change. What cannot be captured is sent as it is from then on.
        """
        small = count <= SMALL and self._graphs is not None
        if small and self._repeats == 1 and self._graph is None:
            self._capture()
        self._repeats += 1
        if small and self._graph:
            self._graph.launch(self._stream)
        else:
            self._need(self._context.execute_async_v3(self._stream.handle), "it does not run")

    def _capture(self) -> None:
        assert self._graphs
        try:
            self._graph = self._graphs.capture(
                self._stream, lambda: self._context.execute_async_v3(self._stream.handle)
            )
            self.captured = "yes"
        except Exception as error:  # of the driver, or of TensorRT that may not run while it is captured
            self._graphs, self.captured = None, f"no: {error}"

    def _drop_graph(self) -> None:
        if self._graph:
            self._graph.free()
        self._graph, self._repeats = None, 0

    def _mark(self, number: int) -> None:
        if self._marking:
            self._marks[number].record(self._stream)

    def abandon(self, why: str) -> bool:
        """Wait for whatever is on its way, and forget it; whether the device still answers.

        After an illegal address, a failed launch or a memory error the whole context is dead, and every later call
        fails with the same error.
        """
        if self._pending:
            self._pending[0].lost = why
        self._pending, self._shape = None, ()
        try:
            self._stream.synchronize()
        except Exception:  # of pycuda
            return False
        return True

    def free(self) -> None:
        """Give all back that it has. What a batch on its way would still write goes nowhere."""
        self.abandon("this engine is closed")
        self._drop_graph()
        del self._context
        self._give_back()

    def _set_shape(self, count: int, height: int, width: int) -> None:
        """Tell the context what comes, where it is not what came before: the addresses are always the same."""
        if self._shape == (count, height, width):
            return
        self._shape = ()
        self._drop_graph()
        wanted = SINGLE if count == 1 and self._singles else MAIN
        if wanted != self._chosen:
            chosen = self._context.set_optimization_profile_async(wanted, self._stream.handle)
            self._need(chosen, f"its profile {wanted} is refused")
            self._chosen = wanted
        for name, shape in ((IMAGE, (count, height, width, 3)), (MASK, (count, height, width))):
            self._need(self._context.set_input_shape(name, shape), f"{name} of shape {shape} is refused")
        for name, memory in self._device.items():
            self._need(self._context.set_tensor_address(name, int(memory)), f"the address of {name} is refused")
        self._need(not self._context.infer_shapes(), "a shape is missing")
        self._shape = (count, height, width)

    def _need(self, worked: bool, what: str) -> None:
        """TensorRT says by a bool whether a call worked, and in its log why it did not."""
        if not worked:
            raise EngineError(f"TensorRT: {what}: {self._words.last()}")

    def _give_back(self) -> None:
        """All but the execution context. The stream goes with its last reference, which is not to be an error's."""
        self.__dict__.pop("_stream", None)
        for memory in self._device.values():
            memory.free()
        for array in self._host.values():
            cast(HostAllocation, array.base).free()
        self._device.clear()
        self._host.clear()
