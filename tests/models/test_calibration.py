import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.calibration import (
    MINIMUM_PATIENTS,
    Calibration,
    calibrate,
    count_needed_patients,
    draw_one_per_patient,
)
from models.errors import TooFewHealthyScans
from tests.strategies import calibrations, finite_scores, promises

DRAWS = 20_000
# A share of 20,000 draws lies within this of its expectation, but for one time in thousands.
DRAW_NOISE = 0.01


def calibrate_scores(scores, rate=0.05, confidence=0.9, patients=None, seed=0):
    names = patients or [str(index) for index in range(len(scores))]
    return calibrate(
        np.asarray(scores, dtype=float), names, rate, confidence, np.random.default_rng(seed)
    )


def simulate_rates(count, rate, confidence):
    """Give the true false alarm rate of each of many calibrations on uniform scores."""
    order = calibrate_scores(np.arange(count), rate, confidence).threshold + 1
    return np.random.default_rng(1).beta(count + 1 - order, order, size=DRAWS)


@pytest.mark.parametrize(
    ("rate", "confidence", "expected"), [(0.05, 0.9, 45), (0.01, 0.9, 230), (0.05, 0.95, 59)]
)
def test_so_many_patients_carry_the_promise_and_one_fewer_do_not(rate, confidence, expected):
    assert count_needed_patients(rate, confidence) == expected
    assert calibrate_scores(np.arange(expected), rate, confidence).promise.is_as_wanted
    fewer = calibrate_scores(np.arange(expected - 1), rate, confidence).promise
    assert not fewer.is_as_wanted
    assert fewer.needed_patients == expected


@pytest.mark.parametrize("count", [45, 60, 100, 300])
@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_so_many_calibrations_as_promised_keep_the_rate(count, confidence):
    rates = simulate_rates(count, 0.05, confidence)

    assert (rates <= 0.05).mean() >= confidence - DRAW_NOISE


@pytest.mark.parametrize("count", [45, 100, 300])
def test_the_next_lower_threshold_would_break_the_promise(count):
    order = calibrate_scores(np.arange(count)).threshold + 1

    lower = np.random.default_rng(1).beta(count + 2 - order, order - 1, size=DRAWS)

    assert (lower <= 0.05).mean() < 0.9 + DRAW_NOISE


@pytest.mark.parametrize(
    ("count", "rate"), [(5, 1 / 6), (10, 1 / 11), (18, 1 / 19), (19, 0.05), (30, 0.05), (44, 0.05)]
)
def test_fewer_patients_keep_a_weaker_promise_on_average(count, rate):
    calibration = calibrate_scores(np.arange(count))

    promise = calibration.promise
    assert promise.kind == "average"
    assert promise.confidence is None
    assert promise.rate == pytest.approx(rate)
    assert simulate_rates(count, 0.05, 0.9).mean() <= rate + DRAW_NOISE
    assert "on average" in promise.statement
    assert "45 patients" in promise.statement


def test_real_draws_of_scores_keep_the_average_rate():
    generator = np.random.default_rng(3)
    rates = []
    for _ in range(400):
        calibration = calibrate_scores(generator.normal(size=30))
        rates.append((generator.normal(size=500) > calibration.threshold).mean())

    assert np.mean(rates) <= 0.05 + 0.01


def test_too_few_patients_carry_no_promise_and_the_message_says_how_many_would():
    with pytest.raises(TooFewHealthyScans, match=r"found 4 .* expected 5 .*45 for 5.0% at 90%"):
        calibrate_scores(np.arange(MINIMUM_PATIENTS - 1))


def test_many_scans_of_few_patients_are_few_votes():
    with pytest.raises(TooFewHealthyScans):
        calibrate_scores(np.arange(400), patients=[str(index % 4) for index in range(400)])


def test_each_patient_has_one_vote_from_among_its_own_scans():
    scores = np.arange(60.0)
    patients = [f"p{index // 10}" for index in range(60)]

    votes = draw_one_per_patient(scores, patients, np.random.default_rng(0))

    assert (votes // 10).tolist() == [0, 1, 2, 3, 4, 5]


def test_every_scan_of_a_patient_is_drawn_equally_often():
    drawn = [
        draw_one_per_patient(np.arange(4.0), ["a"] * 4, np.random.default_rng(seed))[0]
        for seed in range(400)
    ]

    assert np.unique(drawn, return_counts=True)[1].min() > 70


def test_a_tie_with_the_threshold_is_not_above_it_and_counts_in_the_p_value():
    calibration = calibrate_scores([1.0] * 50)

    assert calibration.threshold == 1.0
    assert calibration.compute_p_value(1.0) == 1.0
    assert calibration.compute_p_value(1.1) == pytest.approx(1 / 51)


@given(calibration=calibrations(), score=finite_scores)
def test_the_p_value_counts_the_scores_at_least_as_high(calibration, score):
    above = sum(other >= score for other in calibration.scores)

    p_value = calibration.compute_p_value(score)

    assert p_value == (1 + above) / (len(calibration.scores) + 1)


@given(calibration=calibrations(), scores=st.tuples(finite_scores, finite_scores))
def test_a_higher_score_never_raises_the_p_value(calibration, scores):
    low, high = sorted(scores)

    assert calibration.compute_p_value(high) <= calibration.compute_p_value(low)


@given(calibration=calibrations())
def test_a_calibration_survives_a_round_trip(calibration):
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


@given(promise=promises)
def test_the_statement_of_a_promise_has_its_numbers(promise):
    assert f"{promise.rate:.1%}" in promise.statement
    assert f"{promise.patients} patients" in promise.statement


@pytest.mark.parametrize("scores", [(2.0, 1.0, 3.0, 4.0, 5.0), (1.0, 2.0)])
def test_scores_out_of_order_or_too_few_are_refused(scores):
    promise = calibrate_scores(np.arange(10)).promise

    with pytest.raises(ValidationError):
        Calibration(scores=scores, threshold=1.0, promise=promise)
