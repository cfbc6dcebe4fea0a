"""One process or many: PyTorch's own engine, as `torchrun` starts it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lgnet_cli.errors import TrainingStopped, UsageError


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process; so all leave the loop at the same step."""
        if self.world == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised.item())

    def mean(self, value: Tensor) -> Tensor:
        """The mean over processes."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.world


@contextmanager
def started(device: str, go_on: str) -> Iterator[Ranks]:
    """The processes of this run, joined.

    Args:
        device: auto, cpu or cuda.
        go_on: what mends the loss of a process, for the error's text.

    Raises:
        UsageError: CUDA is asked for and not there.
        TrainingStopped: another process went away.
    """
    local, rank, world = (int(os.environ.get(name, default)) for name, default in
                          (("LOCAL_RANK", 0), ("RANK", 0), ("WORLD_SIZE", 1)))  # fmt: skip
    chosen = _device(device, local)
    if world == 1:
        yield Ranks(rank, world, chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, world, chosen)
    except RuntimeError as error:  # what a collective raises when its peer is gone
        if not _is_lost_peer(error):
            raise
        raise TrainingStopped(f"process {rank} of {world}: another process of this run is gone", mend=go_on) from error
    finally:
        dist.destroy_process_group()


def parallel(module: nn.Module, ranks: Ranks) -> nn.Module:
    """`module` with its gradients averaged over processes, or as it is where there is one."""
    if ranks.world == 1:
        return module
    devices = [ranks.device.index] if ranks.device.type == "cuda" else None
    # Buffers are not broadcast: BatchNorm's statistics are each process's own and the first one's are saved; and
    # broadcasting would write, between two forwards, to the vectors of spectral norm that the first backward needs.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of its name from PyTorch 2.13 on, which older ones lack
        return DistributedDataParallel(module, device_ids=devices, broadcast_buffers=False)


def with_shared_statistics(model: nn.Module, ranks: Ranks) -> nn.Module:
    """`model`, its BatchNorms now over the batches of all processes; parameters and names stay. CUDA only.

    Raises UsageError on a CPU, where PyTorch has no such layer.
    """
    if ranks.device.type != "cuda":
        raise UsageError("sync_batchnorm: PyTorch shares BatchNorm's statistics between GPUs alone")
    if ranks.world == 1:
        return model
    shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return shared


@contextmanager
def unsynchronised(module: nn.Module, wanted: bool) -> Iterator[None]:
    """While gradients are only accumulated, processes need not exchange them."""
    if wanted and isinstance(module, DistributedDataParallel):
        with module.no_sync():
            yield
    else:
        yield


def _device(name: str, local: int) -> torch.device:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("no CUDA device is here", mend="leave out --device, or: --device cpu")
    return torch.device("cuda", local) if there and name != "cpu" else torch.device("cpu")


def _is_lost_peer(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistBackendError | dist.DistNetworkError):
        return True
    return any(word in str(error) for word in ("Connection closed by peer", "Connection reset", "Broken pipe", "gloo"))
