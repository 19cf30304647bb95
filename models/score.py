"""Error map to score: pooled over the body, put on the scale of healthy scans, combined."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from models.error_map import ErrorMap
from models.specs import HeadSpec, ScoreSpec

# Fewer healthy scores than this give no scale.
MINIMUM_SCALE_SCORES = 8
# The slope beyond the healthy scores is that between these two quantiles of them.
SLOPE_QUANTILES = (0.5, 0.95)
# Keeps the slope finite where all healthy scores are equal.
SMALLEST_SPREAD = 1e-12

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class HeadScale:
    """Where a head's value stands among the healthy scans of the fusion fold.

    A value becomes the standard Gaussian quantile of its rank (the van der Waerden score), linear
    between the healthy scores and, with the slope of their upper half, beyond them, so that two
    scans stranger than every healthy one still differ.

    `healthy`: float64 [N], ascending, unit of the head.
    """

    healthy: Scores

    def __post_init__(self) -> None:
        if len(self.healthy) < MINIMUM_SCALE_SCORES:
            raise ValueError(
                f"a scale needs {MINIMUM_SCALE_SCORES} healthy scores, found {len(self.healthy)}"
            )
        if not np.isfinite(self.healthy).all() or (np.diff(self.healthy) < 0).any():
            raise ValueError("the healthy scores of a scale must be finite and ascending")

    def place(self, values: Scores) -> Scores:
        """Put values on the scale: float64 [B], any unit, to float64 [B], Gaussian quantiles."""
        quantiles, slope = self._quantiles, self._slope
        inside = np.interp(values, self.healthy, quantiles)
        above = quantiles[-1] + (values - self.healthy[-1]) * slope
        below = quantiles[0] + (values - self.healthy[0]) * slope
        placed: Scores = np.where(
            values > self.healthy[-1], above, np.where(values < self.healthy[0], below, inside)
        )
        return placed

    @cached_property
    def _quantiles(self) -> Scores:
        count = len(self.healthy)
        quantiles: Scores = special.ndtri(np.arange(1, count + 1) / (count + 1))
        return quantiles

    @cached_property
    def _slope(self) -> float:
        low, high = np.quantile(self.healthy, SLOPE_QUANTILES)
        rise = float(special.ndtri(SLOPE_QUANTILES[1]) - special.ndtri(SLOPE_QUANTILES[0]))
        return rise / max(float(high - low), SMALLEST_SPREAD)


def pool_error_map(error_map: ErrorMap, head: HeadSpec) -> Scores:
    """Pool the error map of each slice over its body.

    Returns:
        float64 [B], >= 0, unit of the error map; 0 for a slice without foreground.
    """
    pooled = np.zeros(len(error_map.values))
    for index, (values, inside) in enumerate(
        zip(error_map.values, error_map.foreground, strict=True)
    ):
        body = values[inside]
        if body.numel():
            pooled[index] = _pool(body, head)
    return pooled


def combine_heads(
    pooled: Mapping[str, Scores], scales: Mapping[str, HeadScale], spec: ScoreSpec
) -> Scores:
    """Give the weighted mean of the heads, each on its healthy scale.

    Args:
        pooled: per head, float64 [B], unit of the head.
        scales: per head, its scale.
        spec: the heads and their weights.

    Returns:
        float64 [B], any value, Gaussian quantiles; higher is stranger.
    """
    total = sum(head.weight for head in spec.heads)
    placed = [head.weight * scales[head.name].place(pooled[head.name]) for head in spec.heads]
    combined: Scores = np.sum(placed, axis=0) / total
    return combined


def combine_slices(slice_scores: Scores, spec: ScoreSpec) -> float:
    """Give the score of a scan: the mean of its hottest slices, at least one.

    Args:
        slice_scores: float64 [S], any value.
        spec: which share of the slices counts.
    """
    count = max(1, math.ceil(spec.hottest_slices_share * len(slice_scores)))
    return float(np.sort(slice_scores)[-count:].mean())


def _pool(body: torch.Tensor, head: HeadSpec) -> float:
    """Pool the foreground's values: float32 [N], to one number, summed in double precision."""
    if head.pool == "maximum":
        return float(body.max())
    if head.pool == "mean":
        return float(body.double().mean())
    count = max(1, round(head.top_share * body.numel()))
    return float(body.topk(count).values.double().mean())
