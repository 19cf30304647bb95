"""The few scans worth looking at: the worst false alarms and misses, kept as the scans pass."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from training.units import Unit

KEPT_AT_MOST = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """One slice beside what the bundle made of it; all [H, W], original pixels.

    `pixels`, `reconstruction`: float32, real units; `error_map`: float32, multiples of the pixel
    threshold; `mask`: bool, True is abnormal, None where unknown; `window`: drawn black and white.
    """

    name: str
    label: str
    score: float
    pixels: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    error_map: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    window: tuple[float, float]


class Gallery:
    """Keeps the pictures of the strangest healthy and the most ordinary abnormal units.

    `false_alarms` holds healthy units called anomalous, `misses` abnormal ones called typical; a
    picture is built only for units that make it into one of them.
    """

    def __init__(self) -> None:
        self._alarms: list[tuple[float, int, Picture]] = []
        self._misses: list[tuple[float, int, Picture]] = []
        self._ties = count()

    def offer(self, unit: Unit, build: Callable[[], Picture]) -> None:
        """Keep the unit's picture if it is among the worst so far."""
        if unit.score is None:
            return
        if unit.is_healthy and unit.verdict == "anomalous":
            self._keep(self._alarms, unit.score, build)
        elif not unit.is_healthy and unit.verdict == "typical":
            self._keep(self._misses, -unit.score, build)

    @property
    def false_alarms(self) -> list[Picture]:
        """The healthy units with the highest scores, the worst first."""
        return [picture for _, _, picture in sorted(self._alarms, reverse=True)]

    @property
    def misses(self) -> list[Picture]:
        """The abnormal units with the lowest scores, the worst first."""
        return [picture for _, _, picture in sorted(self._misses, reverse=True)]

    def _keep(
        self, kept: list[tuple[float, int, Picture]], badness: float, build: Callable[[], Picture]
    ) -> None:
        if len(kept) < KEPT_AT_MOST:
            heapq.heappush(kept, (badness, -next(self._ties), build()))
        elif badness > kept[0][0]:
            heapq.heapreplace(kept, (badness, -next(self._ties), build()))
