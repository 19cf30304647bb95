"""Metrics to their intervals: whole patients are drawn again, never single scans.

Scans of one patient resemble each other, so drawing scans would make every interval too narrow.
Patients are drawn within their stratum (only healthy scans, only abnormal ones, both), so that each
resample has as many of each as the cohort.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats

RESAMPLES = 2000
CONFIDENCE = 0.95
CHUNK_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class PatientGroups:
    """Which units belong to which patient, and the patients of each stratum.

    `patient_of_unit`: int64 [N], index of a patient; `strata`: int64 rows of patient indices.
    """

    patient_of_unit: NDArray[np.int64]
    strata: tuple[NDArray[np.int64], ...]

    @property
    def patient_count(self) -> int:
        """How many patients there are."""
        return sum(stratum.size for stratum in self.strata)


def group_patients(patients: Sequence[str], is_abnormal: NDArray[np.bool_]) -> PatientGroups:
    """Sort units by patient, and patients by what kinds of units they have.

    Args:
        patients: one name a unit.
        is_abnormal: bool [N]; True means the unit is abnormal.
    """
    names, patient_of_unit = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    has_abnormal = np.zeros(names.size, dtype=np.int64)
    has_healthy = np.zeros(names.size, dtype=np.int64)
    has_abnormal[patient_of_unit[is_abnormal]] = 1
    has_healthy[patient_of_unit[~is_abnormal]] = 1
    kind = has_abnormal + 2 * has_healthy
    strata = tuple(np.flatnonzero(kind == value) for value in np.unique(kind))
    return PatientGroups(patient_of_unit.astype(np.int64), strata)


def draw_patients(
    strata: Sequence[NDArray[np.int64]], resamples: int, generator: np.random.Generator
) -> Floats:
    """Draw patients with replacement within each stratum.

    Returns:
        float64 [resamples, patients], 0 and above, how often each patient was drawn.
    """
    drawn = np.zeros((resamples, sum(stratum.size for stratum in strata)))
    for stratum in strata:
        shares = np.full(stratum.size, 1.0 / stratum.size)
        drawn[:, stratum] = generator.multinomial(stratum.size, shares, size=resamples)
    return drawn


def draw_unit_weights(
    groups: PatientGroups, resamples: int, generator: np.random.Generator
) -> Iterator[Floats]:
    """Give the weights of all resamples, some rows at a time so that memory stays flat.

    Yields:
        float64 [R, N], 0 and above, how often each unit was drawn.
    """
    units = max(1, groups.patient_of_unit.size)
    rows = max(1, min(resamples, CHUNK_VALUES // units))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        yield draw_patients(groups.strata, count, generator)[:, groups.patient_of_unit]


def bootstrap_intervals(
    compute: Callable[[Floats], Mapping[str, Floats]],
    groups: PatientGroups,
    resamples: int,
    generator: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Give the 95 % percentile interval of each metric over resampled patients.

    Args:
        compute: weights float64 [R, N] to metrics, each float64 [R].
        groups: units by patient.
        resamples: how many.
        generator: where chance comes from.
    """
    rows = [compute(weights) for weights in draw_unit_weights(groups, resamples, generator)]
    return {name: find_interval(np.concatenate([row[name] for row in rows])) for name in rows[0]}


def find_interval(values: Floats) -> tuple[float, float]:
    """Give the central 95 % of resampled values; NaN twice where none is defined."""
    defined = values[np.isfinite(values)]
    if defined.size == 0:
        return (math.nan, math.nan)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return (float(low), float(high))
