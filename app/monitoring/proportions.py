"""Shares of counts with exact intervals."""

from dataclasses import dataclass

from scipy import special

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many of so many, with the interval that holds the true share with 95 % confidence.

    `share`, `low` and `high` are 0..1; of nothing the share is None and the interval 0..1.
    """

    count: int
    total: int
    share: float | None
    low: float
    high: float


def measure_proportion(count: int, total: int) -> Proportion:
    """Give a share with its interval of Clopper and Pearson (Biometrika 26, 1934).

    It covers the true share in at least 95 % of draws, however few there are.
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(special.betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, total - count, 1.0 - tail)) if count < total else 1.0
    return Proportion(count, total, count / total if total else None, low, high)
