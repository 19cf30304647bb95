"""Operating points are where brute force over all thresholds finds them."""

import numpy as np
import pytest

from training.operating_points import (
    CostRule,
    F1Rule,
    LabelledScores,
    OperatingRule,
    TargetSensitivityRule,
    YoudenRule,
    choose_operating_point,
    find_threshold,
)


def draw_labelled(seed: int) -> LabelledScores:
    generator = np.random.default_rng(seed)
    is_abnormal = np.arange(200) < 60
    scores = np.round(generator.normal(size=200) + 1.2 * is_abnormal, 1)
    return LabelledScores(scores, is_abnormal, [f"p{index // 2}" for index in range(200)])


def measure(labelled: LabelledScores, threshold: float) -> tuple[float, float, float]:
    flagged = labelled.scores >= threshold
    hits = (flagged & labelled.is_abnormal).sum()
    sensitivity = hits / labelled.is_abnormal.sum()
    specificity = (~flagged & ~labelled.is_abnormal).sum() / (~labelled.is_abnormal).sum()
    return sensitivity, specificity, 2 * hits / (flagged.sum() + labelled.is_abnormal.sum())


def gain(labelled: LabelledScores, rule: OperatingRule, threshold: float) -> float:
    sensitivity, specificity, f1 = measure(labelled, threshold)
    match rule:
        case TargetSensitivityRule():
            return specificity if sensitivity >= rule.sensitivity - 1e-12 else -1.0
        case YoudenRule():
            return sensitivity + specificity
        case F1Rule():
            return f1
        case CostRule():
            missed = rule.missed * rule.abnormal_share * (1 - sensitivity)
            return -missed - rule.false_alarm * (1 - rule.abnormal_share) * (1 - specificity)


RULES = [
    TargetSensitivityRule(sensitivity=0.9),
    TargetSensitivityRule(sensitivity=1.0),
    YoudenRule(),
    F1Rule(),
    CostRule(missed=10.0, false_alarm=1.0, abnormal_share=0.1),
    CostRule(missed=1.0, false_alarm=1.0, abnormal_share=0.3),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_point_is_the_best_of_all_thresholds(rule: OperatingRule, seed: int) -> None:
    labelled = draw_labelled(seed)

    threshold = find_threshold(labelled, rule, np.ones(200))

    best = max(gain(labelled, rule, tried) for tried in np.append(np.unique(labelled.scores), 99.0))
    assert gain(labelled, rule, threshold) == pytest.approx(best)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_intervals_hold_the_chosen_point(rule: OperatingRule) -> None:
    point = choose_operating_point(draw_labelled(0), rule, 200, np.random.default_rng(0))

    assert point.rule == rule.rule
    for estimate in (point.threshold, point.sensitivity, point.specificity):
        assert estimate.low <= estimate.value <= estimate.high


def test_where_every_alarm_costs_more_than_it_saves_nothing_is_flagged() -> None:
    labelled = draw_labelled(0)

    threshold = find_threshold(
        labelled, CostRule(missed=1.0, false_alarm=1e6, abnormal_share=0.001), np.ones(200)
    )

    assert not (labelled.scores >= threshold).any() or (
        labelled.is_abnormal[labelled.scores >= threshold].all()
    )
    assert np.isfinite(threshold)


@pytest.mark.parametrize("is_abnormal", [True, False])
def test_one_class_alone_gives_no_point(is_abnormal: bool) -> None:
    with pytest.raises(ValueError, match="healthy and abnormal"):
        LabelledScores(np.zeros(3), np.full(3, is_abnormal), ["a", "b", "c"])
