import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.verdict import decide, refuse
from tests.strategies import calibrations, finite_scores

STRANGENESS = {"typical": 0, "anomalous": 1}


@given(calibration=calibrations(), scores=st.tuples(finite_scores, finite_scores))
def test_a_higher_score_never_lowers_the_verdict(calibration, scores):
    low, high = (decide(score, calibration, reason=None) for score in sorted(scores))

    assert STRANGENESS[high.label] >= STRANGENESS[low.label]


@given(calibration=calibrations(), score=finite_scores)
def test_only_a_score_above_the_threshold_is_anomalous(calibration, score):
    verdict = decide(score, calibration, reason=None)

    assert (verdict.label == "anomalous") == (score > calibration.threshold)
    assert (verdict.score, verdict.threshold) == (score, calibration.threshold)
    assert verdict.reason == ""


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@given(calibration=calibrations() | st.none(), reason=st.none() | st.just("Too dark."))
def test_a_score_that_is_no_number_is_indeterminate(score, calibration, reason):
    verdict = decide(score, calibration, reason=reason)

    assert verdict.label == "indeterminate"
    assert verdict.score is None
    assert verdict.reason


@given(calibration=calibrations() | st.none(), score=finite_scores)
def test_a_scan_outside_the_domain_is_indeterminate_with_the_reason(calibration, score):
    verdict = decide(score, calibration, reason="Modality US is outside.")

    assert verdict.label == "indeterminate"
    assert verdict.reason == "Modality US is outside."
    assert verdict.score == score


@given(score=finite_scores)
def test_without_a_calibration_nothing_is_typical(score):
    verdict = decide(score, None, reason=None)

    assert verdict.label == "indeterminate"
    assert "no calibration" in verdict.reason
    assert verdict.p_value is None


def test_a_scan_without_a_score_is_indeterminate():
    assert refuse("The scan shows nothing but background.").label == "indeterminate"
