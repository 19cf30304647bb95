"""Scores of labelled scans to an operating point, chosen by the name of its rule.

For sites that have abnormal examples. The labelled scans must be others than those the point is
later judged on: choosing on the test split would grade one's own homework. The promise that needs
no abnormal scan is made in `models/calibration.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import precision_recall_curve, roc_curve

from models.specs import Share, Spec
from training.bootstrap import PatientGroups, draw_unit_weights, find_interval, group_patients
from training.metrics import RATE_TOLERANCE, Floats


class TargetSensitivityRule(Spec):
    """The highest threshold that still finds this share of the abnormal scans."""

    rule: Literal["target_sensitivity"] = "target_sensitivity"
    sensitivity: Share


class YoudenRule(Spec):
    """The threshold where sensitivity plus specificity is largest (Youden 1950)."""

    rule: Literal["youden"] = "youden"


class F1Rule(Spec):
    """The threshold where the harmonic mean of precision and recall is largest."""

    rule: Literal["f1"] = "f1"


class CostRule(Spec):
    """The threshold of the smallest expected cost at the share of abnormal scans met in use."""

    rule: Literal["cost"] = "cost"
    missed: float = Field(gt=0.0)
    false_alarm: float = Field(gt=0.0)
    abnormal_share: Share


OperatingRule = Annotated[
    TargetSensitivityRule | YoudenRule | F1Rule | CostRule, Field(discriminator="rule")
]


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """Scores of scans whose truth is known.

    `scores`: float64 [N], higher is stranger; `is_abnormal`: bool [N], True is abnormal.
    """

    scores: Floats
    is_abnormal: NDArray[np.bool_]
    patients: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.is_abnormal) == len(self.patients):
            raise ValueError("scores, truths and patients must be equally many")
        if self.is_abnormal.all() or not self.is_abnormal.any():
            raise ValueError("an operating point needs healthy and abnormal scans")
        if not np.isfinite(self.scores).all():
            raise ValueError("every score must be a finite number")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % bootstrap interval over patients."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where to flag: at scores of at least `threshold`, and what that gives on labelled scans.

    The intervals choose the threshold again in every resample, so they include the luck of the
    choice.
    """

    rule: str
    threshold: Estimate
    sensitivity: Estimate
    specificity: Estimate


def choose_operating_point(
    labelled: LabelledScores,
    rule: OperatingRule,
    resamples: int,
    generator: np.random.Generator,
) -> OperatingPoint:
    """Choose the threshold that a rule asks for, with intervals over patients.

    Args:
        labelled: scans that were neither trained on nor kept for the test.
        rule: which point.
        resamples: of the bootstrap.
        generator: where chance comes from.
    """
    everybody = np.ones(len(labelled.scores))
    threshold = find_threshold(labelled, rule, everybody)
    values = np.array([threshold, *_measure(labelled, threshold, everybody)])
    groups = group_patients(labelled.patients, labelled.is_abnormal)
    drawn = _resample(labelled, rule, groups, resamples, generator)
    estimates = [
        Estimate(float(value), *find_interval(column))
        for value, column in zip(values, drawn.T, strict=True)
    ]
    return OperatingPoint(rule.rule, *estimates)


def find_threshold(labelled: LabelledScores, rule: OperatingRule, weights: Floats) -> float:
    """Find the score from which on the rule flags; the highest one where several are as good.

    Args:
        labelled: scores and truths.
        rule: which point.
        weights: float64 [N], 0 and above, times each scan counts.
    """
    if isinstance(rule, F1Rule):
        return _find_f1_threshold(labelled, weights)
    false_alarm, sensitivity, thresholds = roc_curve(
        labelled.is_abnormal, labelled.scores, sample_weight=weights, drop_intermediate=False
    )
    if isinstance(rule, TargetSensitivityRule):
        reached = sensitivity >= rule.sensitivity - RATE_TOLERANCE
        return float(thresholds[max(1, int(np.argmax(reached)))])
    if isinstance(rule, YoudenRule):
        gain = sensitivity - false_alarm
    else:
        missed = rule.missed * rule.abnormal_share * (1.0 - sensitivity)
        gain = -(missed + rule.false_alarm * (1.0 - rule.abnormal_share) * false_alarm)
    return _take_finite(thresholds, gain, labelled.scores)


def _find_f1_threshold(labelled: LabelledScores, weights: Floats) -> float:
    precision, recall, thresholds = precision_recall_curve(
        labelled.is_abnormal, labelled.scores, sample_weight=weights
    )
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = f1[:-1].max()
    return float(thresholds[np.flatnonzero(f1[:-1] >= best - RATE_TOLERANCE)[-1]])


def _take_finite(thresholds: Floats, gain: Floats, scores: Floats) -> float:
    """Take the best threshold; the first of the curve is infinite and means to flag nothing."""
    best = float(thresholds[int(np.argmax(gain >= gain.max() - RATE_TOLERANCE))])
    return best if np.isfinite(best) else float(np.nextafter(scores.max(), np.inf))


def _measure(labelled: LabelledScores, threshold: float, weights: Floats) -> tuple[float, float]:
    flagged = labelled.scores >= threshold
    abnormal = weights * labelled.is_abnormal
    healthy = weights * ~labelled.is_abnormal
    return (
        float((abnormal * flagged).sum() / abnormal.sum()),
        float((healthy * ~flagged).sum() / healthy.sum()),
    )


def _resample(
    labelled: LabelledScores,
    rule: OperatingRule,
    groups: PatientGroups,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """Choose again in each resample.

    Returns:
        float64 [R, 3]; threshold, sensitivity, specificity.
    """
    rows = []
    for chunk in draw_unit_weights(groups, resamples, generator):
        for weights in chunk:
            has_both = weights[labelled.is_abnormal].any() and weights[~labelled.is_abnormal].any()
            if has_both:
                threshold = find_threshold(labelled, rule, weights)
                rows.append((threshold, *_measure(labelled, threshold, weights)))
    return np.array(rows).reshape(-1, 3)
