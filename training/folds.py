"""Healthy training scans to folds: fit, validation, fusion and calibration, divided by patient."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import InvalidCohort
from training.cohort import CohortScan, CohortScans
from training.recipe import FoldsSpec

FOLDS = ("fit", "validation", "fusion", "calibration")


@dataclass(frozen=True, slots=True)
class Folds:
    """Healthy scans of four groups of patients that share nobody.

    The network is fitted on `fit`, the checkpoint chosen on `validation`, the heads put on one
    scale on `fusion`, and the threshold taken from `calibration`.
    """

    fit: Sequence[CohortScan]
    validation: Sequence[CohortScan]
    fusion: Sequence[CohortScan]
    calibration: Sequence[CohortScan]


def split_folds(
    scans: Sequence[CohortScan], shares: FoldsSpec, generator: np.random.Generator
) -> Folds:
    """Divide healthy scans into the four folds; equal patients and seeds give equal folds.

    A fold with a share gets at least one patient. A share of 0 leaves its fold empty.

    Args:
        scans: healthy training scans.
        shares: how large the folds are, counted in patients.
        generator: decides who goes where.

    Raises:
        InvalidCohort: a scan is not healthy, or there are fewer patients than folds.
    """
    if not all(scan.is_healthy for scan in scans):
        raise InvalidCohort("folds are made from healthy scans only")
    patients = np.array([scan.patient for scan in scans], dtype=object)
    names, inverse = np.unique(patients, return_inverse=True)
    counts = _count_patients(len(names), shares)
    fold_of_name = np.empty(len(names), dtype=np.int64)
    fold_of_name[generator.permutation(len(names))] = np.repeat(np.arange(len(FOLDS)), counts)
    fold_of_scan = fold_of_name[inverse]
    parts = (
        _select(scans, np.flatnonzero(fold_of_scan == fold).tolist()) for fold in range(len(FOLDS))
    )
    return Folds(*parts)


def _count_patients(patients: int, shares: FoldsSpec) -> list[int]:
    """Share the patients out: one for each fold that wants any, the rest by largest remainder."""
    wanted = np.array([getattr(shares, fold) for fold in FOLDS])
    is_wanted = wanted > 0
    if not is_wanted.any():
        raise InvalidCohort("every fold has a share of 0")
    if patients < is_wanted.sum():
        raise InvalidCohort(
            f"found {patients} healthy training patients, expected at least {is_wanted.sum()}: "
            "one for each fold"
        )
    exact = wanted / wanted.sum() * patients
    counts = np.maximum(np.floor(exact).astype(np.int64), is_wanted.astype(np.int64))
    while counts.sum() < patients:
        counts[np.argmax(np.where(is_wanted, exact - counts, -np.inf))] += 1
    while counts.sum() > patients:
        counts[np.argmax(np.where(counts > 1, counts - exact, -np.inf))] -= 1
    return [int(count) for count in counts]


def _select(scans: Sequence[CohortScan], indices: Iterable[int]) -> Sequence[CohortScan]:
    if isinstance(scans, CohortScans):
        return scans.select(indices)
    return tuple(scans[index] for index in indices)
