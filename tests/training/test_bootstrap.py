"""Intervals come from whole patients and hold as often as they say."""

import numpy as np

from training.bootstrap import bootstrap_intervals, draw_unit_weights, find_interval, group_patients
from training.metrics import compute_image_metrics, count_scores, rank_scores


def test_all_units_of_a_patient_are_drawn_together() -> None:
    patients = ["a", "a", "b", "c", "c", "c"]
    groups = group_patients(patients, np.array([0, 1, 0, 1, 1, 0], dtype=bool))

    weights = np.concatenate(list(draw_unit_weights(groups, 50, np.random.default_rng(0))))

    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3:] == weights[:, 3:4]).all()


def test_each_stratum_keeps_its_number_of_patients_in_every_resample() -> None:
    patients = [f"p{index}" for index in range(30)]
    is_abnormal = np.arange(30) < 10
    groups = group_patients(patients, is_abnormal)

    weights = np.concatenate(list(draw_unit_weights(groups, 40, np.random.default_rng(1))))

    assert (weights[:, is_abnormal].sum(1) == 10).all()
    assert (weights[:, ~is_abnormal].sum(1) == 20).all()


def test_the_interval_of_the_area_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    truth = 0.760  # of two unit Gaussians one standard deviation apart
    held = 0
    for _ in range(60):
        is_abnormal = np.arange(120) < 60
        scores = generator.normal(size=120) + is_abnormal
        ranked = rank_scores(scores, is_abnormal)
        groups = group_patients([str(index) for index in range(120)], is_abnormal)
        low, high = bootstrap_intervals(
            lambda weights, ranked=ranked: compute_image_metrics(count_scores(ranked, weights)),
            groups,
            300,
            generator,
        )["auroc"]
        held += low <= truth <= high

    assert held >= 51  # 57 expected; 3 standard deviations below


def test_scans_of_one_patient_widen_the_interval() -> None:
    generator = np.random.default_rng(3)
    is_abnormal = np.repeat(np.arange(20) < 10, 10)
    shift = np.repeat(generator.normal(size=20), 10)
    ranked = rank_scores(shift + 0.1 * generator.normal(size=200) + is_abnormal, is_abnormal)

    def width(patients: list[str]) -> float:
        low, high = bootstrap_intervals(
            lambda weights: compute_image_metrics(count_scores(ranked, weights)),
            group_patients(patients, is_abnormal),
            400,
            np.random.default_rng(4),
        )["auroc"]
        return high - low

    by_patient = width([str(index // 10) for index in range(200)])
    by_scan = width([str(index) for index in range(200)])

    assert by_patient > 2 * by_scan


def test_undefined_resamples_are_left_out_of_the_interval() -> None:
    assert find_interval(np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert np.isnan(find_interval(np.array([np.nan]))).all()
