"""Slices to prepared batches: drawn, moved, made noisy, ahead of the network by one thread."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from training.augment import Motions, draw_motions, move_slices
from training.distributed import Group
from training.noise import CoarseNoise, add_noise, draw_noise
from training.randomness import make_generator
from training.recipe import Recipe

# Batches made ready ahead of the network.
AHEAD = 3


class Slices(Protocol):
    """Normalized slices by index: image float32 [C, H, W], 0..1, and foreground bool [1, H, W]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Tensor, Tensor]: ...


@runtime_checkable
class BatchSlices(Protocol):
    """Slices that can be read many at once, which saves a copy."""

    def read(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Give image float32 [B, C, H, W], 0..1, and foreground bool [B, 1, H, W]."""
        ...


@dataclass(frozen=True, slots=True)
class FedBatch:
    """One process's part of a global batch, on its device.

    `image`: float32 [B, C, H, W], 0..1, what is to be drawn.
    `shown`: float32 [B, C, H, W], what the network is shown: the image, with noise where the recipe
    asks for it.
    `foreground`: bool [B, 1, H, W]; True inside the body.
    """

    image: Tensor
    shown: Tensor
    foreground: Tensor


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Slices as read, and what is to be done to them; all on the CPU."""

    image: Tensor
    foreground: Tensor
    motions: Motions
    noise: CoarseNoise | None


class BatchFeed:
    """Batches of a run, step after step; which slices and which numbers depends on the step alone.

    Every slice is seen once before any is seen twice. All processes draw the numbers of the whole
    batch and each keeps its part, so the batch is the same however many they are.
    """

    def __init__(self, slices: Slices, recipe: Recipe, seed: int, group: Group) -> None:
        self._slices = slices
        self._recipe = recipe
        self._seed = seed
        self._part = group.take_part(recipe.optimizer.batch_size)
        self._epoch = -1
        self._order: list[int] = []

    def run(self, first_step: int, device: torch.device) -> Iterator[FedBatch]:
        """Give the batches from a step on, to the end of the recipe's budget."""
        steps = range(first_step, self._recipe.optimizer.steps)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as reader:
            waiting: list[Future[RawBatch]] = []
            for step in steps:
                waiting.append(reader.submit(self._read, step))
                if len(waiting) > AHEAD:
                    yield prepare_batch(waiting.pop(0).result(), device)
            for future in waiting:
                yield prepare_batch(future.result(), device)

    def _read(self, step: int) -> RawBatch:
        size = self._recipe.optimizer.batch_size
        indices = [self._find_index(step * size + place) for place in range(size)]
        image, foreground = read_slices(self._slices, indices[self._part])
        motions = draw_motions(
            self._recipe.augment, size, make_generator(self._seed, "motion", step)
        )
        noise = None
        if self._recipe.noise is not None:
            generator = make_generator(self._seed, "noise", step)
            noise = draw_noise(self._recipe.noise, size, image.shape[1], generator)
            noise = noise.take(self._part)
        return RawBatch(image, foreground, motions.take(self._part), noise)

    def _find_index(self, position: int) -> int:
        """Which slice is the one at this position of the endless stream."""
        epoch, place = divmod(position, len(self._slices))
        if epoch != self._epoch:
            generator = make_generator(self._seed, "order", epoch)
            self._order = torch.randperm(len(self._slices), generator=generator).tolist()
            self._epoch = epoch
        return self._order[place]


def prepare_batch(raw: RawBatch, device: torch.device) -> FedBatch:
    """Bring a batch to its device, move its slices and add the noise there."""
    is_far = device.type == "cuda"
    image, foreground = (
        (tensor.pin_memory().to(device, non_blocking=True) if is_far else tensor)
        for tensor in (raw.image, raw.foreground)
    )
    image, foreground = move_slices(image, foreground, raw.motions)
    shown = image if raw.noise is None else add_noise(image, foreground, raw.noise)
    return FedBatch(image, shown, foreground)


def read_slices(slices: Slices, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Read slices: image float32 [B, C, H, W], 0..1, and foreground bool [B, 1, H, W]."""
    if isinstance(slices, BatchSlices):
        return slices.read(indices)
    images, foregrounds = zip(*(slices[index] for index in indices), strict=True)
    return torch.stack(images), torch.stack(foregrounds)
