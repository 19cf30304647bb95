"""What is asked of an evaluation beside the fixed metrics: seed, windows, subgroups."""

import math
from dataclasses import dataclass

from training.bootstrap import RESAMPLES


@dataclass(frozen=True, slots=True)
class Window:
    """The units whose numeric column lies between two values, both included."""

    column: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """The window as it is written: `position:0.45:0.65`."""
        return f"{self.column}:{self.low:g}:{self.high:g}"

    def holds(self, text: str) -> bool:
        """Whether a cell lies inside; a cell that is no number does not."""
        try:
            value = float(text)
        except ValueError:
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How to evaluate; nothing here changes a score or a threshold.

    `peers`: whether published detectors on features stand beside the baselines; takes minutes.
    """

    seed: int
    windows: tuple[Window, ...] = ()
    subgroups: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    peers: bool = False


def parse_window(text: str) -> Window:
    """Read a window written as `column:low:high`.

    Raises:
        ValueError: it is written otherwise, or low is above high.
    """
    column, separator, bounds = text.partition(":")
    low_text, between, high_text = bounds.partition(":")
    if not (column and separator and between):
        raise ValueError(f"expected column:low:high, found {text}")
    low, high = float(low_text), float(high_text)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"expected low at or under high, found {text}")
    return Window(column, low, high)
