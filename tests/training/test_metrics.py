"""Image metrics agree with scikit-learn and with counting by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from training.metrics import (
    ScoreCounts,
    compute_auroc,
    compute_average_precision,
    compute_best_dice,
    compute_image_metrics,
    compute_precision_recall,
    compute_sensitivity_at,
    count_scores,
    rank_scores,
)


def draw_scores(seed: int, *, has_ties: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    is_abnormal = generator.random(300) < 0.4
    scores = generator.normal(size=300) + is_abnormal
    return (np.round(scores, 0) if has_ties else scores), is_abnormal


@pytest.mark.parametrize("has_ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_area_and_precision_are_those_of_scikit_learn(seed: int, has_ties: bool) -> None:
    scores, is_abnormal = draw_scores(seed, has_ties=has_ties)

    counts = count_scores(rank_scores(scores, is_abnormal), None)

    assert compute_auroc(counts) == pytest.approx(roc_auc_score(is_abnormal, scores), abs=1e-12)
    assert compute_average_precision(counts) == pytest.approx(
        average_precision_score(is_abnormal, scores), abs=1e-12
    )


@pytest.mark.parametrize("specificity", [0.95, 0.9, 1.0])
@pytest.mark.parametrize("has_ties", [False, True])
def test_sensitivity_is_the_best_point_of_the_curve_within_the_specificity(
    specificity: float, has_ties: bool
) -> None:
    scores, is_abnormal = draw_scores(3, has_ties=has_ties)
    false_alarm, sensitivity, _ = roc_curve(is_abnormal, scores, drop_intermediate=False)

    counts = count_scores(rank_scores(scores, is_abnormal), None)

    expected = sensitivity[false_alarm <= 1 - specificity + 1e-12].max()
    assert compute_sensitivity_at(counts, specificity) == pytest.approx(expected)


def test_five_healthy_alarms_in_a_hundred_keep_95_percent_specificity() -> None:
    healthy = np.arange(100.0)
    scores = np.append(healthy, [94.5, 93.5])

    counts = count_scores(rank_scores(scores, np.arange(102) >= 100), None)

    assert compute_sensitivity_at(counts, 0.95) == 0.5


def test_weights_count_a_unit_as_often_as_it_was_drawn() -> None:
    scores, is_abnormal = draw_scores(5, has_ties=True)
    weights = np.random.default_rng(6).integers(0, 4, size=(3, 300)).astype(float)
    ranked = rank_scores(scores, is_abnormal)

    metrics = compute_image_metrics(count_scores(ranked, weights))

    for row, drawn in enumerate(weights.astype(int)):
        repeated = rank_scores(np.repeat(scores, drawn), np.repeat(is_abnormal, drawn))
        alone = compute_image_metrics(count_scores(repeated, None))
        for name, values in metrics.items():
            assert values[row] == pytest.approx(float(alone[name]))


@pytest.mark.parametrize("is_abnormal", [True, False])
def test_metrics_are_undefined_where_one_class_is_missing(is_abnormal: bool) -> None:
    ranked = rank_scores(np.arange(4.0), np.full(4, is_abnormal))

    metrics = compute_image_metrics(count_scores(ranked, None))

    assert all(np.isnan(value) for value in metrics.values())


def test_best_dice_is_found_by_trying_every_threshold() -> None:
    scores, is_abnormal = draw_scores(7, has_ties=True)

    best = compute_best_dice(count_scores(rank_scores(scores, is_abnormal), None))

    tried = []
    for threshold in np.unique(scores):
        flagged = scores >= threshold
        hits = (flagged & is_abnormal).sum()
        tried.append(2 * hits / (flagged.sum() + is_abnormal.sum()))
    assert best == pytest.approx(max(tried))


def test_recall_ends_at_one_and_precision_at_the_share_of_abnormal_units() -> None:
    scores, is_abnormal = draw_scores(8, has_ties=False)

    precision, recall = compute_precision_recall(
        count_scores(rank_scores(scores, is_abnormal), None)
    )

    assert (recall[-1], precision[-1]) == pytest.approx((1.0, is_abnormal.mean()))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        rank_scores(np.array([0.0, value]), np.array([True, False]))


def test_counts_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        ScoreCounts(np.zeros(3), np.zeros(4))
