"""Charts of monitoring, as shapes to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.monitoring.schemas import HistogramView, MartingaleView, NamedTally
from app.web.histogram import Bar

WIDTH, HEIGHT = 420.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 36.0, 8.0, 10.0, 22.0
_LEAST_TOP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """Healthy scores as bars, those of the stream as a line, both as shares; the threshold."""

    bars: Sequence[Bar]
    points: str
    threshold_x: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RateChart:
    """The alert rate week by week with its interval, and the promised rate."""

    points: Sequence[tuple[float, float, float, float, str]]
    promise_y: float | None
    top_share: float


@dataclass(frozen=True, slots=True)
class PathChart:
    """The capital of a martingale, and the height of its alarm."""

    points: str
    alarm_y: float
    low: float
    high: float


def build_score_chart(found: HistogramView, threshold: float) -> ScoreChart:
    """Prepare the scores of the stream against those of the calibration."""
    low, high = found.edges[0], found.edges[-1]
    healthy, stream = _share(found.calibration), _share(found.stream)
    top = max(*healthy, *stream, 1e-9)
    width = (WIDTH - _LEFT - _RIGHT) / len(healthy)
    bars = [
        Bar(
            round(_LEFT + number * width, 2),
            round(_place_y(share / top), 2),
            round(width - 1, 2),
            round(_place_y(0.0) - _place_y(share / top), 2),
            is_above=found.edges[number] >= threshold,
        )
        for number, share in enumerate(healthy)
    ]
    points = " ".join(
        f"{_LEFT + (number + 0.5) * width:.1f},{_place_y(share / top):.1f}"
        for number, share in enumerate(stream)
    )
    return ScoreChart(bars, points, _place_x((threshold - low) / max(high - low, 1e-9)), low, high)


def build_rate_chart(weeks: Sequence[NamedTally], promised: float | None) -> RateChart:
    """Prepare the alert rate by week; x, y, y of the interval's ends, and what it says."""
    top = max([_LEAST_TOP_SHARE, promised or 0.0, *(week.alerts.high for week in weeks)])
    step = 1.0 / max(len(weeks), 1)
    points = [
        (
            _place_x((number + 0.5) * step),
            _place_y((week.alerts.share or 0.0) / top),
            _place_y(week.alerts.high / top),
            _place_y(week.alerts.low / top),
            f"{week.name}: {week.alerts.count} of {week.alerts.total}",
        )
        for number, week in enumerate(weeks)
    ]
    return RateChart(points, None if promised is None else _place_y(promised / top), top)


def build_path_chart(found: MartingaleView) -> PathChart:
    """Prepare the path of a martingale, as powers of ten."""
    alarm = max(1e-9, -math.log10(found.delta))
    low, high = min([0.0, *found.path]), max([alarm, *found.path])
    span = max(high - low, 1e-9)
    last = max(len(found.path) - 1, 1)
    points = " ".join(
        f"{_place_x(number / last):.1f},{_place_y((value - low) / span):.1f}"
        for number, value in enumerate(found.path)
    )
    return PathChart(points, _place_y((alarm - low) / span), low, high)


def _share(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _place_x(share: float) -> float:
    return round(_LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT), 2)


def _place_y(share: float) -> float:
    return round(HEIGHT - _BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - _TOP - _BOTTOM), 2)
