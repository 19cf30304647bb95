"""Where a score stands among healthy scans, as shapes to draw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.calibration import Calibration

WIDTH, HEIGHT = 320.0, 92.0
_BARS = 28
_MARGIN = 8.0
# A score further out than this many ranges of the healthy ones is drawn at the edge, with an arrow.
_FARTHEST = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A box, origin top left."""

    x: float
    y: float
    width: float
    height: float
    is_above: bool


@dataclass(frozen=True, slots=True)
class ScorePlot:
    """A histogram of healthy scores, the threshold, and the place of one score."""

    width: float
    height: float
    bars: Sequence[Bar]
    threshold_x: float
    score_x: float
    is_cut: bool
    low: float
    high: float
    count: int
    threshold: float
    score: float


def build_score_plot(score: float, calibration: Calibration) -> ScorePlot:
    """Prepare the histogram of the healthy scores of a calibration, and the place of a score."""
    healthy = np.asarray(calibration.scores)
    low = float(min(healthy[0], score, calibration.threshold))
    healthy_high = float(max(healthy[-1], calibration.threshold))
    limit = healthy_high + _FARTHEST * max(healthy_high - low, 1e-9)
    high = min(max(healthy_high, score), limit)
    span = max(high - low, 1e-9)

    def place(value: float) -> float:
        share = min(max((value - low) / span, 0.0), 1.0)
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 2)

    return ScorePlot(
        width=WIDTH,
        height=HEIGHT,
        bars=_build_bars(healthy, (low, high), calibration.threshold),
        threshold_x=place(calibration.threshold),
        score_x=place(score),
        is_cut=score > limit,
        low=low,
        high=high,
        count=len(healthy),
        threshold=calibration.threshold,
        score=score,
    )


def _build_bars(
    healthy: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    span: tuple[float, float],
    threshold: float,
) -> list[Bar]:
    counts, edges = np.histogram(healthy, bins=_BARS, range=span)
    width = (WIDTH - 2 * _MARGIN) / _BARS
    tallest = max(int(counts.max()), 1)
    bars = []
    for number, count in enumerate(counts):
        height = round((HEIGHT - 22) * float(count) / tallest, 2)
        x = round(_MARGIN + number * width, 2)
        is_above = bool(edges[number] >= threshold)
        bars.append(Bar(x, round(HEIGHT - 14 - height, 2), round(width - 1.5, 2), height, is_above))
    return bars
