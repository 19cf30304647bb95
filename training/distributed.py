"""One training run over several processes, started by torchrun: plain DDP, nothing more.

Every process prepares its own part of the same global batch, so the run follows the same path as on
one process. The first process alone validates and writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from models.errors import InvalidRecipe


@dataclass(frozen=True, slots=True)
class Group:
    """The processes of a run, and which of them this is."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def take_part(self, batch_size: int) -> slice:
        """Which part of a global batch is this process's.

        Raises:
            InvalidRecipe: the batch cannot be divided evenly, so means would no longer agree.
        """
        if batch_size % self.size:
            raise InvalidRecipe(
                f"optimizer.batch_size must be a multiple of the {self.size} processes, "
                f"found {batch_size}"
            )
        count = batch_size // self.size
        return slice(self.rank * count, (self.rank + 1) * count)


SINGLE = Group(rank=0, size=1)


@contextmanager
def join_group(device: torch.device) -> Iterator[tuple[Group, torch.device]]:
    """Join the processes that torchrun started; alone where it did not.

    Yields:
        The group, and the device of this process: its own GPU where there are several.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), size), device
    finally:
        distributed.destroy_process_group()


def spread_network(network: nn.Module, group: Group) -> nn.Module:
    """Wrap the network so that gradients are averaged over the group; as it is where alone."""
    if group.size == 1:
        return network
    device = next(network.parameters()).device
    return DistributedDataParallel(
        network, device_ids=[device.index] if device.type == "cuda" else None
    )


def share_numbers(numbers: list[float], group: Group, device: torch.device) -> list[float]:
    """Give every process the numbers of the first, exactly."""
    if group.size == 1:
        return numbers
    shared = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return [float(number) for number in shared.tolist()]


def average(value: torch.Tensor, group: Group) -> torch.Tensor:
    """Average a tensor over the group."""
    if group.size == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / group.size
