"""Descriptors to how near a scan looks to healthy ones, and to healthy ones that were changed.

A Gaussian of healthy descriptors gives a distance. Healthy slices that were turned, flipped,
inverted or cropped give one more mean each: on the line between the two means (Fisher 1936) a scan
lies near the one or the other. So nothing foreign is needed to know what is foreign.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """What the slices of one scan look like.

    `distances`: float64 [S], Mahalanobis distance from healthy slices. `likenesses`: per change,
    float64 [S], standard deviations from half-way between healthy slices and changed ones; above
    0 it is nearer the changed ones.
    """

    distances: Floats
    likenesses: Mapping[str, Floats]

    @property
    def distance(self) -> float:
        """Of the scan: the median of its slices, for some slices of any volume look odd."""
        return float(np.median(self.distances))

    def find_nearest_change(self) -> tuple[str, float] | None:
        """Give the change that the scan is most like, and its likeness; None where none is known.

        Every slice of a scan was changed alike, so the median of its slices counts.
        """
        medians = {change: float(np.median(each)) for change, each in self.likenesses.items()}
        return max(medians.items(), key=lambda item: item[1], default=None)


@dataclass(frozen=True, slots=True)
class Appearance:
    """How healthy slices look.

    `mean`: float64 [K]; `precision`: float64 [K, K], inverse of the covariance, symmetric;
    `changed`: per change, float64 [K], mean of healthy slices that were changed so.
    """

    mean: Floats
    precision: Floats
    changed: Mapping[str, Floats]

    def __post_init__(self) -> None:
        size = len(self.mean)
        shapes_fit = self.precision.shape == (size, size) and all(
            each.shape == (size,) for each in self.changed.values()
        )
        parts = (self.mean, self.precision, *self.changed.values())
        if not shapes_fit or not all(np.isfinite(each).all() for each in parts):
            raise ValueError("an appearance needs finite means and a precision of one size")

    def look(self, descriptors: Floats) -> Look:
        """Compare slices with healthy ones.

        Args:
            descriptors: float64 [S, K].
        """
        apart = descriptors - self.mean
        squares = np.einsum("sk,kl,sl->s", apart, self.precision, apart)
        return Look(
            distances=np.sqrt(squares.clip(min=0.0)),
            likenesses={
                change: self._place(apart, mean - self.mean)
                for change, mean in self.changed.items()
            },
        )

    def measure_separation(self, change: str) -> float:
        """Give how many standard deviations lie between healthy slices and changed ones."""
        step = self.changed[change] - self.mean
        return math.sqrt(max(float(step @ self.precision @ step), 0.0))

    def _place(self, apart: Floats, step: Floats) -> Floats:
        """Place slices on the line from the healthy mean to a changed one, 0 half-way."""
        across = self.precision @ step
        length = math.sqrt(max(float(step @ across), float(np.finfo(np.float64).tiny)))
        placed: Floats = (apart @ across) / length - length / 2
        return placed
