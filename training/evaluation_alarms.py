"""Verdicts against the truth: false alarms beside their promise, and what was left undecided."""

import re
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration
from models.verdict import VerdictLabel
from training.bootstrap import bootstrap_intervals, group_patients
from training.evaluation_options import EvaluationOptions
from training.false_alarms import compute_exact_interval, expect_alarms
from training.metrics import Floats
from training.units import UnitTable

VERDICTS: tuple[VerdictLabel, ...] = ("typical", "anomalous", "indeterminate")


def measure_alarms(units: UnitTable, calibration: Calibration | None) -> dict[str, Any]:
    """Hold the realised false alarm rate against the promised one.

    `expected` is where 95 % of tests of so many healthy patients fall if the promise's assumptions
    hold, given that the calibration itself is finite. The calibration drew one scan a patient, so
    what is held against it is `realised_by_patient`: the chance that one scan, drawn at random of
    a patient, is flagged. `realised` is the share of all units; its interval is exact with as many
    trials as patients: slices of one patient are taken to stand and fall together.
    """
    healthy = ~units.is_abnormal
    alarms = healthy & units.match_verdicts("anomalous")
    shares = _share_by_patient(units, alarms, healthy)
    patients = len(shares)
    found: dict[str, Any] = {
        "promised": None if calibration is None else calibration.promise.rate,
        "statement": None if calibration is None else calibration.promise.statement,
        "threshold": None if calibration is None else calibration.threshold,
        "realised": float(alarms.sum() / healthy.sum()) if healthy.any() else None,
        "realised_ci": None,
        "realised_by_patient": float(np.mean(shares)) if patients else None,
        "alarms": int(alarms.sum()),
        "healthy": int(healthy.sum()),
        "healthy_patients": patients,
        "expected": None,
        "is_within_expected": None,
    }
    if calibration is None or not patients:
        return found
    found["realised_ci"] = list(compute_exact_interval(found["realised"] * patients, patients))
    scores = np.asarray(calibration.scores)
    rank = int(np.searchsorted(scores, calibration.threshold, side="right"))
    expected = expect_alarms(len(scores), rank, patients)
    found["expected"] = {"mean": expected.mean, "low": expected.low, "high": expected.high}
    found["is_within_expected"] = bool(
        expected.low <= found["realised_by_patient"] <= expected.high
    )
    return found


def summarize_verdicts(units: UnitTable, options: EvaluationOptions) -> dict[str, Any]:
    """Count the verdicts of healthy and abnormal units, and give the sensitivity they make."""
    is_abnormal = units.is_abnormal
    found: dict[str, Any] = {
        verdict: {
            "healthy": int((units.match_verdicts(verdict) & ~is_abnormal).sum()),
            "abnormal": int((units.match_verdicts(verdict) & is_abnormal).sum()),
        }
        for verdict in VERDICTS
    }
    hits = is_abnormal & units.match_verdicts("anomalous")
    found["sensitivity"] = float(hits.sum() / is_abnormal.sum()) if is_abnormal.any() else None
    found["sensitivity_ci"] = None
    if is_abnormal.any():
        found["sensitivity_ci"] = list(_bootstrap_share(units, hits, is_abnormal, options))
    return found


def summarize_reasons(units: UnitTable) -> dict[str, Any]:
    """Count indeterminate units and their reasons, numbers in the reasons left out."""
    undecided = units.match_verdicts("indeterminate")
    reasons = Counter(_blank_numbers(units.reasons[index]) for index in np.flatnonzero(undecided))
    for reason, count in units.unscored.items():
        reasons[_blank_numbers(reason)] += count
    return {
        "healthy": int((undecided & ~units.is_abnormal).sum()),
        "abnormal": int((undecided & units.is_abnormal).sum()),
        "unscored": sum(units.unscored.values()),
        "reasons": dict(reasons.most_common()),
    }


def _share_by_patient(
    units: UnitTable, counted: NDArray[np.bool_], among: NDArray[np.bool_]
) -> list[float]:
    """Give, of each patient, which share of the units among those asked for is counted."""
    found: dict[str, list[bool]] = {}
    for place in np.flatnonzero(among):
        found.setdefault(units.patients[place], []).append(bool(counted[place]))
    return [sum(marks) / len(marks) for marks in found.values()]


def _bootstrap_share(
    units: UnitTable,
    counted: NDArray[np.bool_],
    among: NDArray[np.bool_],
    options: EvaluationOptions,
) -> tuple[float, float]:
    places = np.flatnonzero(among)
    groups = group_patients([units.patients[place] for place in places], ~among[places])

    def compute(weights: Floats) -> dict[str, Floats]:
        return {"share": (weights * counted[places]).sum(-1) / weights.sum(-1)}

    generator = np.random.default_rng(options.seed)
    return bootstrap_intervals(compute, groups, options.resamples, generator)["share"]


def _blank_numbers(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", reason)
