"""What a benchmark gives: a ratio of two things measured in one run, and its bar."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Ratio:
    """`ours` against `bare`, both in `unit`; met where the ratio is on the right side of `bar`."""

    name: str
    ours: float
    bare: float
    unit: str
    bar: float
    side: Literal["at least", "at most"]

    @property
    def value(self) -> float:
        """The ratio."""
        return self.ours / self.bare

    @property
    def is_met(self) -> bool:
        """Whether it keeps its bar."""
        if self.side == "at least":
            return self.value >= self.bar
        return self.value <= self.bar

    def to_json(self) -> dict[str, object]:
        """Give everything as plain values."""
        return asdict(self) | {"value": self.value, "is_met": self.is_met}


def compare_rates(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    """Give the rates of the round whose ratio is the median one; a busy machine spoils few."""
    middle = median(ours / bare for ours, bare in rounds)
    return min(rounds, key=lambda rates: abs(rates[0] / rates[1] - middle))
