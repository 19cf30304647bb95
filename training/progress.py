"""How the fit shows itself in a terminal: a bar with rate, time left, and the loss."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from rich.progress import Progress

from training.fit_state import HistoryPoint

# The loss curve in the terminal: eight heights, this many of the latest points.
CURVE_STEPS = "▁▂▃▄▅▆▇█"
CURVE_LENGTH = 20


class FitProgress(Protocol):
    """What a training run tells whoever watches."""

    def begin(self, images_seen: int, images_total: int) -> None:
        """Start, or go on, at this many slices."""

    def advance(self, images_seen: int, loss: float) -> None:
        """Tell how many slices were seen, and the mean loss of the latest."""

    def note(self, point: HistoryPoint) -> None:
        """Tell what a look at the weights gave."""


class BarProgress:
    """A bar with rate, time left, and the loss with its curve, among the bars of a console."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("fit", total=None, rate="", loss="", curve="", separation="")
        self._losses: list[float] = []
        self._first = 0

    def begin(self, images_seen: int, images_total: int) -> None:
        """Start the clock; slices seen before a resumption do not count for the rate."""
        self._first = images_seen
        self._bar.reset(self._task, total=images_total, completed=images_seen)

    def advance(self, images_seen: int, loss: float) -> None:
        """Move the bar."""
        self._losses.append(loss)
        elapsed_s = self._bar.tasks[self._task].elapsed or 0.0
        rate = (images_seen - self._first) / elapsed_s if elapsed_s else 0.0
        self._bar.update(
            self._task,
            completed=images_seen,
            rate=f"{rate:.0f} images/s",
            loss=f"loss {loss:.4g}",
            curve=draw_curve(self._losses),
        )

    def note(self, point: HistoryPoint) -> None:
        """Show how well the weights separate synthetic anomalies."""
        if point.separation is not None:
            self._bar.update(self._task, separation=f"separation {point.separation:.3f}")


def draw_curve(losses: Sequence[float]) -> str:
    """Draw the course of the loss with a line of blocks, the whole run in `CURVE_LENGTH`."""
    count = min(CURVE_LENGTH, len(losses))
    edges = [round(place * len(losses) / count) for place in range(count + 1)] if count else []
    means = [sum(losses[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means, default=0.0), max(means, default=0.0)
    top = len(CURVE_STEPS) - 1
    spread = high - low
    return "".join(
        CURVE_STEPS[round((mean - low) / spread * top) if spread else 0] for mean in means
    )
