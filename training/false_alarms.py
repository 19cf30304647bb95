"""Alarms among healthy test scans, held against what the calibration promised.

Two sorts of luck lie between the promise and what a test shows: which healthy scans were in the
calibration, and which are in the test. With n calibration scores of independent patients and the
threshold at the k-th smallest, the rate of this very calibration follows Beta(n + 1 - k, k), and
the alarms among m test patients follow the Beta-binomial distribution with these parameters.
"""

from dataclasses import dataclass

from scipy.stats import beta, betabinom

from training.bootstrap import CONFIDENCE

TAIL = (1.0 - CONFIDENCE) / 2.0


@dataclass(frozen=True, slots=True)
class AlarmExpectation:
    """The rates between which 95 % of tests of this size fall if the promise is kept."""

    mean: float
    low: float
    high: float


def compute_exact_interval(alarms: float, healthy: int) -> tuple[float, float]:
    """Give the exact 95 % interval of a rate (Clopper and Pearson 1934).

    Args:
        alarms: how many; a fraction where patients count by their share of flagged units.
        healthy: of how many independent patients.

    Raises:
        ValueError: there are no scans, or more alarms than scans.
    """
    if not 0 <= alarms <= healthy or healthy == 0:
        raise ValueError(f"expected 0 to {healthy} alarms of at least one scan, found {alarms}")
    low = beta.ppf(TAIL, alarms, healthy - alarms + 1) if alarms else 0.0
    high = beta.ppf(1.0 - TAIL, alarms + 1, healthy - alarms) if alarms < healthy else 1.0
    return (float(low), float(high))


def expect_alarms(calibration_count: int, rank: int, healthy: int) -> AlarmExpectation:
    """Give the rates to expect among healthy test scans, given a calibration of this size.

    Args:
        calibration_count: n, healthy calibration scores, one a patient.
        rank: k, the threshold is the k-th smallest of them, 1 to n; scores above it are flagged.
        healthy: m, healthy test scans of independent patients.

    Raises:
        ValueError: the rank is not one of 1 to n, or there are no test scans.
    """
    if not 1 <= rank <= calibration_count or healthy < 1:
        raise ValueError(
            f"expected a rank in 1..{calibration_count} and test scans, found {rank}, {healthy}"
        )
    alarms = betabinom(healthy, calibration_count + 1 - rank, rank)
    return AlarmExpectation(
        mean=float(alarms.mean() / healthy),
        low=float(alarms.ppf(TAIL) / healthy),
        high=float(alarms.ppf(1.0 - TAIL) / healthy),
    )
