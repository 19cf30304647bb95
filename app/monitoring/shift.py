"""How the scores of a stream differ from those of the calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]

PSI_BINS = 10
HISTOGRAM_BINS = 30
# Added to each count of the PSI, so that an empty bin is no infinite shift.
_SMOOTHING = 0.5
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Shift:
    """Distances of two samples; None where there are too few scans to tell.

    `ks` is the largest distance of the two distribution functions, `ks_p_value` how likely one as
    large is without any shift. `psi` is the population stability index, `psi_by_chance` what it is
    on average without any shift.
    """

    ks: float
    ks_p_value: float
    psi: float
    psi_by_chance: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of two samples in the same bins; the outer bins hold what lies beyond them too."""

    edges: tuple[float, ...]
    stream: tuple[int, ...]
    calibration: tuple[int, ...]


def measure_shift(stream: Values, calibration: Values) -> Shift | None:
    """Compare the scores of a stream with those of the calibration.

    Two-sample test of Kolmogorov and Smirnov with its asymptotic p-value, corrected for small
    samples (Stephens, J. R. Stat. Soc. B 32, 1970), and PSI over the tenths of the calibration
    (Siddiqi, Credit Risk Scorecards, 2006: under 0.1 no shift, over 0.25 a large one). Without
    shift the PSI is (bins - 1) (1/n + 1/m) on average (Yurdakul 2018), which is much where scans
    are few.

    Args:
        stream: float64 [N], scores.
        calibration: float64 [M], scores.

    Returns:
        None with fewer than five scans.
    """
    if len(stream) < _FEWEST:
        return None
    distance = _measure_distance(stream, calibration)
    root = np.sqrt(len(stream) * len(calibration) / (len(stream) + len(calibration)))
    p_value = float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance))
    by_chance = (PSI_BINS - 1) * (1.0 / len(stream) + 1.0 / len(calibration))
    return Shift(distance, p_value, _measure_psi(stream, calibration), by_chance)


def count_bins(stream: Values, calibration: Values, threshold: float) -> Histogram:
    """Count scores in bins that do not depend on the stream: pictures of two weeks compare."""
    low, high = float(calibration.min()), max(float(calibration.max()), threshold)
    span = (high - low) or 1.0
    edges = np.linspace(low - 0.25 * span, high + 0.5 * span, HISTOGRAM_BINS + 1)
    return Histogram(
        tuple(edges.tolist()), _count(stream, edges[1:-1]), _count(calibration, edges[1:-1])
    )


def _measure_distance(stream: Values, calibration: Values) -> float:
    """Give the largest difference of the two shares of scores up to a score."""
    scores = np.concatenate([stream, calibration])
    shares = [
        np.searchsorted(np.sort(values), scores, side="right") / len(values)
        for values in (stream, calibration)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def _measure_psi(stream: Values, calibration: Values) -> float:
    inner = np.quantile(calibration, np.arange(1, PSI_BINS) / PSI_BINS)
    shares = []
    for values in (stream, calibration):
        counts = np.asarray(_count(values, inner)) + _SMOOTHING
        shares.append(counts / counts.sum())
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def _count(values: Values, inner: Values) -> tuple[int, ...]:
    """Count values in the bins between inner edges; the first and the last have no end."""
    bins = np.searchsorted(inner, values, side="right")
    return tuple(np.bincount(bins, minlength=len(inner) + 1).tolist())
