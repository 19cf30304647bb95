"""Scores and what the scans really are to the numbers that say how well the one tells the other.

Everything is computed from counts per distinct score, the highest score first, so that the same
functions serve scans, weighted bootstrap resamples of scans, and histograms of pixels. A unit is
flagged when its score is at or above a threshold; equal scores are flagged together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Shares such as 0.05 are not exact in binary; a rate that equals its limit is within it.
RATE_TOLERANCE = 1e-12

IMAGE_METRICS = ("auroc", "ap", "sensitivity_at_95_specificity", "sensitivity_at_90_specificity")


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """How many abnormal and healthy units hold each distinct score, the highest score first.

    `abnormal`, `healthy`: float64 [..., G], count, weighted or not; leading axes are resamples.
    """

    abnormal: Floats
    healthy: Floats

    def __post_init__(self) -> None:
        if self.abnormal.shape != self.healthy.shape:
            raise ValueError(
                f"counts differ in shape: {self.abnormal.shape} and {self.healthy.shape}"
            )


@dataclass(frozen=True, slots=True)
class RankedScores:
    """Scores put in order once, to be counted under many weights.

    `order`: int64 [N], units from the highest score to the lowest; `starts`: int64 [G], where each
    distinct score begins in that order; `thresholds`: float64 [G], the distinct scores.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    thresholds: Floats
    is_abnormal: NDArray[np.bool_]


def rank_scores(scores: Floats, is_abnormal: NDArray[np.bool_]) -> RankedScores:
    """Put scores in order, the highest first.

    Args:
        scores: float64 [N], higher is stranger.
        is_abnormal: bool [N]; True means the unit is abnormal.

    Raises:
        ValueError: the two differ in shape, are empty, or a score is not finite.
    """
    if scores.shape != is_abnormal.shape or scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"expected two equal rows, found {scores.shape}, {is_abnormal.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("every score must be a finite number")
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    ranked = scores[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1]).astype(np.int64)
    return RankedScores(order, starts, ranked[starts].astype(np.float64), is_abnormal)


def count_scores(ranked: RankedScores, weights: Floats | None) -> ScoreCounts:
    """Count the units at each distinct score.

    Args:
        ranked: scores in order.
        weights: float64 [..., N], 0 and above, times each unit was drawn; None counts each once.
    """
    if weights is None:
        weights = np.ones(ranked.order.size)
    sorted_weights = weights[..., ranked.order]
    is_abnormal = ranked.is_abnormal[ranked.order]
    return ScoreCounts(
        abnormal=np.add.reduceat(sorted_weights * is_abnormal, ranked.starts, axis=-1),
        healthy=np.add.reduceat(sorted_weights * ~is_abnormal, ranked.starts, axis=-1),
    )


def compute_auroc(counts: ScoreCounts) -> Floats:
    """Give the area under the ROC curve, ties counted half; NaN where one class is missing.

    Returns:
        float64 [...], 0..1.
    """
    ahead = np.cumsum(counts.abnormal, axis=-1) - 0.5 * counts.abnormal
    pairs = counts.abnormal.sum(-1) * counts.healthy.sum(-1)
    return _divide((ahead * counts.healthy).sum(-1), pairs)


def compute_average_precision(counts: ScoreCounts) -> Floats:
    """Give the average precision, the step sum of scikit-learn; NaN where one class is missing.

    Returns:
        float64 [...], 0..1.
    """
    true_alarms = np.cumsum(counts.abnormal, axis=-1)
    alarms = true_alarms + np.cumsum(counts.healthy, axis=-1)
    precision = np.divide(true_alarms, alarms, out=np.zeros_like(alarms), where=alarms > 0)
    total = counts.abnormal.sum(-1)
    value = _divide((precision * counts.abnormal).sum(-1), total)
    return np.where(counts.healthy.sum(-1) > 0, value, np.nan)


def compute_sensitivity_at(counts: ScoreCounts, specificity: float) -> Floats:
    """Give the best sensitivity of any threshold that keeps this specificity, not interpolated.

    Returns:
        float64 [...], 0..1; NaN where one class is missing.
    """
    sensitivity, false_alarm = compute_roc(counts)
    allowed = false_alarm <= 1.0 - specificity + RATE_TOLERANCE
    best = np.where(allowed, sensitivity, 0.0).max(axis=-1)
    return np.where(np.isnan(sensitivity + false_alarm).any(axis=-1), np.nan, best)


def compute_best_dice(counts: ScoreCounts) -> Floats:
    """Give the largest Dice overlap of any threshold, all units pooled.

    Returns:
        float64 [...], 0..1; NaN where nothing is abnormal.
    """
    hits = np.cumsum(counts.abnormal, axis=-1)
    flagged = hits + np.cumsum(counts.healthy, axis=-1)
    total = counts.abnormal.sum(-1)
    dice = _divide(2.0 * hits, flagged + total[..., None])
    return np.where(total > 0, dice.max(axis=-1), np.nan)


def compute_roc(counts: ScoreCounts) -> tuple[Floats, Floats]:
    """Give sensitivity and false alarm rate at each distinct score.

    Returns:
        Two float64 [..., G], 0..1; NaN where the class is missing.
    """
    return (
        _divide(np.cumsum(counts.abnormal, axis=-1), counts.abnormal.sum(-1)[..., None]),
        _divide(np.cumsum(counts.healthy, axis=-1), counts.healthy.sum(-1)[..., None]),
    )


def compute_precision_recall(counts: ScoreCounts) -> tuple[Floats, Floats]:
    """Give precision and recall at each distinct score.

    Returns:
        Two float64 [..., G], 0..1.
    """
    hits = np.cumsum(counts.abnormal, axis=-1)
    flagged = hits + np.cumsum(counts.healthy, axis=-1)
    return _divide(hits, flagged), _divide(hits, counts.abnormal.sum(-1)[..., None])


def compute_image_metrics(counts: ScoreCounts) -> dict[str, Floats]:
    """Give every metric of whole units under the names of the evaluation's JSON."""
    values = (
        compute_auroc(counts),
        compute_average_precision(counts),
        compute_sensitivity_at(counts, 0.95),
        compute_sensitivity_at(counts, 0.90),
    )
    return dict(zip(IMAGE_METRICS, values, strict=True))


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) > 0)
    return quotient
