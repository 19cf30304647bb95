"""Slices in memory and recipes that fit in a second."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.networks.reconstruction import Network, Reconstruction
from models.specs import PipelineSpec
from tests.builders.networks import make_images, make_spec
from training.fit import FitRun
from training.fit_state import HistoryPoint
from training.recipe import Recipe

LOSSES = {"vae": "evidence", "ae_variance": "gaussian_likelihood", "memae": "memory"}


class MemorySlices:
    """Smooth pictures with a round body."""

    def __init__(self, count: int, *, size_px: int = 32, seed: int = 1) -> None:
        self.foreground = make_disc(size_px).expand(count, 1, size_px, size_px).clone()
        self.image = make_images(count, size_px=size_px, seed=seed) * self.foreground

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.image[index], self.foreground[index]


class BatchedSlices(MemorySlices):
    """The same, read many at once."""

    def read(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.image[list(indices)], self.foreground[list(indices)]


class Healer(Network):
    """Knows every healthy slice by heart and draws the nearest: a perfect detector."""

    def __init__(self, slices: MemorySlices) -> None:
        super().__init__(1, 32)
        self.known = torch.nn.Parameter(slices.image, requires_grad=False)

    def forward(self, image, generator=None) -> Reconstruction:
        del generator
        apart = (image[:, None] - self.known[None]).abs().mean((2, 3, 4))
        return Reconstruction(self.known[apart.argmin(1)])


class Copier(Network):
    """Draws what it is shown: no detector at all."""

    def __init__(self) -> None:
        super().__init__(1, 32)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image, generator=None) -> Reconstruction:
        del generator
        return Reconstruction(image)


class RecordedProgress:
    """Remembers what it was told; raises KeyboardInterrupt after so many slices."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.began: list[tuple[int, int]] = []
        self.losses: list[float] = []
        self.points: list[HistoryPoint] = []

    def begin(self, images_seen: int, images_total: int) -> None:
        self.began.append((images_seen, images_total))

    def advance(self, images_seen: int, loss: float) -> None:
        self.losses.append(loss)
        if self.stop_at is not None and images_seen >= self.stop_at:
            raise KeyboardInterrupt

    def note(self, point: HistoryPoint) -> None:
        self.points.append(point)


def make_disc(size_px: int) -> Tensor:
    """Give a round body: bool [1, 1, size_px, size_px]."""
    way = torch.linspace(-1.0, 1.0, size_px)
    return (way[:, None].square() + way[None, :].square() < 0.8)[None, None]


def make_recipe(
    kind: str = "denoising_unet", *, size_px: int = 32, **changes: Mapping[str, object] | None
) -> Recipe:
    """Give a recipe of 40 steps of 4 slices; `changes` replaces its sections."""
    head = {"name": "focal", "pool": "top_share", "error_map": {"distance": "absolute"}}
    pipeline = {
        "normalize": {"size_px": size_px},
        "network": make_spec(kind, size_px=size_px, width=4).model_dump(),
        "score": {"heads": [head]},
        "region": {"error_map": {}},
    }
    values: dict[str, object] = {
        "name": "tiny",
        "summary": "Fits in a second.",
        "pipeline": PipelineSpec.model_validate(pipeline).model_dump(),
        "loss": {"kind": LOSSES.get(kind, "squared")},
        "noise": {"cells": 8, "sigma": 0.2} if kind == "denoising_unet" else None,
        "optimizer": {"images_seen": 160, "batch_size": 4},
        "selection": {"slices": 12, "interval_share": 0.1},
    }
    return Recipe.model_validate(values | changes)


def make_run(folder: Path, *, seed: int = 0, cohort_digest: str = "c0ffee") -> FitRun:
    return FitRun(folder, cohort_digest, seed, torch.device("cpu"))
