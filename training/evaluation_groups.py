"""Image metrics of all units, and of those of one label, subgroup or window."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import bootstrap_intervals, group_patients
from training.cohort_table import HEALTHY
from training.evaluation_options import EvaluationOptions
from training.metrics import IMAGE_METRICS, Floats, compute_image_metrics, count_scores, rank_scores
from training.units import UnitTable

NOT_STATED = "(not stated)"
# A subgroup column with more values than this is no subgroup but a name or a number.
SUBGROUPS_AT_MOST = 50

Metrics = dict[str, Any]
Chosen = NDArray[np.bool_]


def measure_group(units: UnitTable, chosen: Chosen, options: EvaluationOptions) -> Metrics:
    """Give count, metrics and 95 % intervals of some units.

    Args:
        units: of an evaluation.
        chosen: bool [N]; True takes part.
        options: seed and number of resamples.
    """
    return _count_group(units, chosen) | _measure_scores(units, chosen, {}, options)


def measure_parts(units: UnitTable, kind: str, options: EvaluationOptions) -> Metrics:
    """Give the metrics of each head (`head`) or baseline (`baseline`) alone.

    `auroc_behind` is how far its AUROC lies behind that of the bundle's score, with an interval
    from the same resamples.
    """
    everybody = np.ones(len(units), dtype=np.bool_)
    found: Metrics = {}
    for part in units.part_names:
        part_kind, _, name = part.partition(" ")
        if part_kind != kind:
            continue
        values = units.get_parts(part)
        measured = _measure_scores(units, everybody, {part: values}, options)
        windows = measure_windows(units, options, values) if options.windows else {}
        found[name] = measured | {"windows": windows}
    return found


def measure_labels(units: UnitTable, options: EvaluationOptions) -> Metrics:
    """Give, for each label but healthy, its units against all healthy ones."""
    return {
        label: measure_group(units, units.match_labels([label, HEALTHY]), options)
        for label in units.abnormal_labels
    }


def measure_subgroups(units: UnitTable, options: EvaluationOptions) -> Metrics:
    """Give, for each column that was asked for, the metrics of each of its values."""
    return {
        column: {
            value: _measure_subgroup(units, chosen, options)
            for value, chosen in _split_column(units, column).items()
        }
        for column in options.subgroups
    }


def measure_windows(
    units: UnitTable, options: EvaluationOptions, scores: Floats | None = None
) -> Metrics:
    """Give the metrics inside each window; by other scores than the bundle's where given.

    Args:
        units: of an evaluation.
        options: the windows.
        scores: float64 [N], of a baseline or a head.
    """
    found: Metrics = {}
    for window in options.windows:
        cells = (columns.get(window.column, "") for columns in units.columns)
        chosen = np.fromiter((window.holds(cell) for cell in cells), dtype=np.bool_)
        parts = {} if scores is None else {"part": scores}
        counts = _count_group(units, chosen) if scores is None else {}
        found[window.name] = counts | _measure_scores(units, chosen, parts, options)
    return found


def _measure_subgroup(units: UnitTable, chosen: Chosen, options: EvaluationOptions) -> Metrics:
    healthy = chosen & ~units.is_abnormal
    alarms = healthy & units.match_verdicts("anomalous")
    rate = float(alarms.sum() / healthy.sum()) if healthy.any() else None
    return measure_group(units, chosen, options) | {"false_alarm": rate}


def _split_column(units: UnitTable, column: str) -> dict[str, Chosen]:
    cells = np.array(
        [columns.get(column) or NOT_STATED for columns in units.columns], dtype=np.str_
    )
    values = np.unique(cells)
    if len(values) > SUBGROUPS_AT_MOST:
        return {}
    return {str(value): cells == value for value in values}


def _count_group(units: UnitTable, chosen: Chosen) -> Metrics:
    abnormal = units.is_abnormal[chosen]
    patients = {units.patients[index] for index in np.flatnonzero(chosen)}
    return {
        "n": int(chosen.sum()),
        "healthy": int((~abnormal).sum()),
        "abnormal": int(abnormal.sum()),
        "patients": len(patients),
    }


def _measure_scores(
    units: UnitTable, chosen: Chosen, part: Mapping[str, Floats], options: EvaluationOptions
) -> Metrics:
    """Give the metrics of the bundle's score, or of one part beside it."""
    is_abnormal = units.is_abnormal[chosen]
    if is_abnormal.all() or not is_abnormal.any():
        return {f"{name}{end}": None for name in IMAGE_METRICS for end in ("", "_ci")}
    own = rank_scores(units.scores[chosen], is_abnormal)
    other = [rank_scores(values[chosen], is_abnormal) for values in part.values()]
    patients = [units.patients[index] for index in np.flatnonzero(chosen)]

    def compute(weights: Floats) -> dict[str, Floats]:
        measured = compute_image_metrics(count_scores(own, weights))
        for ranked in other:
            lead = measured["auroc"]
            measured = compute_image_metrics(count_scores(ranked, weights))
            measured["auroc_behind"] = lead - measured["auroc"]
        return measured

    intervals = bootstrap_intervals(
        compute,
        group_patients(patients, is_abnormal),
        options.resamples,
        np.random.default_rng(options.seed),
    )
    values = compute(np.ones(len(is_abnormal)))
    return _pair(values, intervals)


def _pair(values: Mapping[str, Floats], intervals: Mapping[str, Sequence[float]]) -> Metrics:
    paired: Metrics = {}
    for name, value in values.items():
        paired[name] = float(value)
        paired[f"{name}_ci"] = list(intervals[name])
    return paired
