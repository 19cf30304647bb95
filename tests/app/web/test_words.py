from datetime import timedelta

import numpy as np
import pytest

from app.monitoring.schemas import HistogramView
from app.web.charts import build_score_chart
from app.web.histogram import WIDTH, build_score_plot
from app.web.words import tell_age, tell_failure, tell_name, tell_share, tell_share_below
from models.calibration import calibrate
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Q=ideographic", "Doe, Jane Q"),
        ("Doe", "Doe"),
        ("^^", ""),
        (None, ""),
    ],
)
def test_a_name_is_told_without_the_marks_of_its_parts(written, told):
    assert tell_name(written) == told


@pytest.mark.parametrize(
    ("p_value", "told"), [(1 / 62, "98.3 %"), (0.21, "79 %"), (0.05, "95.0 %"), (1.0, "0 %")]
)
def test_a_share_below_is_never_told_larger_than_proven(p_value, told):
    assert tell_share_below(p_value) == told


def test_small_shares_keep_two_digits():
    assert [tell_share(value) for value in (0.5, 0.034, 0.0012)] == ["50 %", "3.4 %", "0.12 %"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5, "just now"), (125, "2 min ago"), (7300, "2 h ago"), (90_000, "1 day ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds, told):
    assert tell_age(NOW - timedelta(seconds=seconds), NOW) == told


def test_an_unknown_code_word_is_told_as_words():
    assert tell_failure("some_new_reason") == "Some new reason"


def test_a_score_far_out_is_drawn_at_the_edge_and_said_to_be_cut():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=80)
    calibration = calibrate(scores, [str(n) for n in range(80)], 0.05, 0.9, generator)

    near, far = (build_score_plot(score, calibration) for score in (0.0, 400.0))

    assert not near.is_cut
    assert far.is_cut
    assert far.score_x == WIDTH - 8.0
    assert near.threshold_x > near.score_x


def test_the_bars_of_a_chart_stand_on_its_axis():
    found = HistogramView(edges=[0.0, 1.0, 2.0], stream=[1, 1], calibration=[3, 1])

    chart = build_score_chart(found, 1.0)

    assert [bar.y + bar.height for bar in chart.bars] == [128.0, 128.0]
    assert [bar.is_above for bar in chart.bars] == [False, True]
