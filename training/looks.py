"""Healthy slices to how they look, and to the limits beyond which a scan looks foreign.

Nothing foreign is needed: healthy slices are turned, flipped, inverted and cropped instead.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.appearance import Appearance, Floats, Look
from models.domain import AppearanceDomain, Change
from models.networks.descriptor import GROUPS, compute_descriptor

# Share of healthy slices that may lie beyond one of the two limits.
RATE = 0.01
# Directions in which healthy slices hardly differ tell hospitals apart, not organs: the covariance
# is drawn so far towards a sphere. Ledoit and Wolf's own share is a tenth of it.
SHRINKAGE = 0.3
# Changed slices are made from so many healthy ones: only their mean is used.
CHANGED_SLICES = 512
# A change that healthy slices differ from by less is none for this cohort (a disc has no top).
LEAST_SEPARATION = 4.0
# Fewer slices than this say too little of how healthy scans look.
LEAST_SLICES = 128
# Slices are described so many at once.
BATCH = 64
# A cut-out keeps this share of both sides.
CROP_SHARE = 0.55


class BatchReader(Protocol):
    """Healthy slices that are read by index, many at once."""

    def __len__(self) -> int: ...

    def read_batch(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Give image float32 [B, 1, H, W], 0..1, and foreground bool [B, 1, H, W]."""
        ...


def learn_appearance(slices: BatchReader) -> Appearance | None:
    """Learn how the slices of the fit fold look, and how they would look changed.

    None where there are fewer than `LEAST_SLICES`.
    """
    if len(slices) < LEAST_SLICES:
        return None
    described = [
        compute_descriptor(slices.read_batch(chunk)[0]) for chunk in _chunk(range(len(slices)))
    ]
    healthy: Floats = torch.cat(described).numpy()
    mean = healthy.mean(axis=0)
    appearance = Appearance(mean, _invert_covariance(healthy - mean), _average_changed(slices))
    kept = {
        change: each
        for change, each in appearance.changed.items()
        if appearance.measure_separation(change) >= LEAST_SEPARATION
    }
    return Appearance(mean, appearance.precision, kept)


def learn_limits(looks: Sequence[Look], patients: int) -> AppearanceDomain:
    """Set both limits on held-out healthy slices; each may refuse half of `RATE`.

    Args:
        looks: of held-out healthy scans.
        patients: how many they come from.
    """
    distances = np.concatenate([look.distances for look in looks])
    likenesses = np.concatenate(
        [np.max(list(look.likenesses.values()), axis=0) for look in looks if look.likenesses]
        or [np.zeros(1)]
    )
    return AppearanceDomain(
        distance_limit=find_limit(distances, RATE / 2),
        likeness_limit=find_limit(likenesses, RATE / 2),
        changes=tuple(looks[0].likenesses),
        rate=RATE,
        slices=len(distances),
        patients=patients,
    )


def find_limit(values: Floats, rate: float) -> float:
    """Give a limit that a new healthy value lies beyond with a probability of `rate`.

    With n values, the k-th smallest has a probability of 1 - k / (n + 1) to be passed. Where even
    the largest is passed too often, the limit lies as much farther out as the tail of an
    exponential distribution asks for.

    Args:
        values: float64 [N], of held-out healthy slices, exchangeable with the new one.
        rate: wanted probability.
    """
    ascending = np.sort(values)
    count = len(ascending)
    rank = math.ceil((count + 1) * (1.0 - rate))
    if rank <= count:
        return float(ascending[rank - 1])
    middle, largest = float(np.median(ascending)), float(ascending[-1])
    return middle + (largest - middle) * math.log(1.0 / rate) / math.log(count + 1.0)


def crop_slices(image: Tensor) -> Tensor:
    """Cut a window out of each slice, four corners and the centre in turn, and enlarge it.

    Args:
        image: float32 [B, 1, H, W], 0..1.
    """
    side = image.shape[-1]
    window = max(1, round(CROP_SHARE * side))
    far = side - window
    corners = ((0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2))
    cut = [
        each[:, top : top + window, left : left + window]
        for each, (top, left) in zip(image, _repeat(corners), strict=False)
    ]
    return functional.interpolate(torch.stack(cut), size=(side, side), mode="bilinear")


CHANGE_SLICES: dict[Change, Callable[[Tensor], Tensor]] = {
    "turned_left": lambda image: image.rot90(1, (2, 3)),
    "upside_down": lambda image: image.rot90(2, (2, 3)),
    "turned_right": lambda image: image.rot90(3, (2, 3)),
    "flipped": lambda image: image.flip(2),
    "inverted": lambda image: 1.0 - image,
    "cropped": crop_slices,
}


def _repeat(corners: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    while True:
        yield from corners


def _average_changed(slices: BatchReader) -> dict[str, Floats]:
    """Give the mean descriptor of changed slices, for each change: float64 [K]."""
    chosen = np.linspace(0, len(slices) - 1, min(len(slices), CHANGED_SLICES)).astype(int)
    sums: dict[str, Floats] = {}
    for chunk in _chunk(chosen.tolist()):
        image = slices.read_batch(chunk)[0]
        for name, change in CHANGE_SLICES.items():
            total = compute_descriptor(change(image)).sum(dim=0).numpy()
            sums[name] = sums.get(name, 0.0) + total
    return {name: total / len(chosen) for name, total in sums.items()}


def _invert_covariance(centred: Floats) -> Floats:
    """Give the inverse of the covariance, shrunk once its groups vary alike: float64 [K, K]."""
    tiny = np.finfo(np.float64).tiny
    variances = np.split(centred.var(axis=0), np.cumsum(GROUPS)[:-1])
    scale = np.concatenate([np.full(len(v), max(v.mean(), tiny) ** -0.5) for v in variances])
    scaled = centred * scale
    covariance = scaled.T @ scaled / len(scaled)
    size = len(covariance)
    sphere = max(float(np.trace(covariance)) / size, tiny) * np.eye(size)
    inverse: Floats = np.linalg.inv((1.0 - SHRINKAGE) * covariance + SHRINKAGE * sphere)
    return (inverse + inverse.T) / 2 * np.outer(scale, scale)


def _chunk(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(indices), BATCH):
        yield indices[first : first + BATCH]
