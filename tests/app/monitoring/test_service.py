"""What monitoring tells of streams, over both databases."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.monitoring import service
from app.monitoring.repository import MonitoringFilter
from app.monitoring.service import observe
from models.bundle.manifest import Calibrations
from tests.builders.cases import BUNDLE, OTHER_BUNDLE, fill_worklist
from tests.builders.streams import add_stream, make_calibration, make_calibrations

MONDAY = datetime(2030, 1, 7, tzinfo=UTC)
CALIBRATIONS = make_calibrations()
EVERYTHING = MonitoringFilter()


def draw(count, shift=0.0, seed=0):
    return (np.random.default_rng(seed).normal(size=count) + shift).tolist()


def look(database, wanted=EVERYTHING, bundle=BUNDLE, calibrations=CALIBRATIONS):
    with database.reading() as session:
        return observe(session, wanted, bundle, calibrations)


def list_names(tallies):
    return [(tally.name, tally.total) for tally in tallies]


def test_a_stream_like_the_calibration_keeps_the_promise(database):
    with database.transaction() as session:
        add_stream(session, draw(300), MONDAY)

    view = look(database)

    (scores,) = view.scores
    assert (scores.kind, scores.votes, scores.calibration_count) == ("slice", 300, 200)
    assert scores.promised_share == 0.05
    assert not scores.is_above_promise
    assert scores.ks_p_value > 0.05
    assert sum(scores.histogram.stream) == 300
    assert [bet.against for bet in view.martingales] == ["calibration", "stream"]
    assert not any(bet.is_alarm for bet in view.martingales)
    assert all(len(bet.path) == 200 for bet in view.martingales)


def test_a_stream_that_is_stranger_from_the_start_alarms_against_the_calibration(database):
    with database.transaction() as session:
        add_stream(session, draw(300, shift=1.5), MONDAY)

    view = look(database)

    against_calibration, against_stream = view.martingales
    assert view.scores[0].is_above_promise
    assert view.scores[0].psi > 0.25
    assert against_calibration.is_alarm
    assert MONDAY < against_calibration.alarmed_at < MONDAY + timedelta(days=1)
    assert not against_stream.is_alarm


def test_a_change_on_the_way_alarms_within_the_stream(database):
    scores = draw(300) + draw(100, shift=2.0, seed=1)
    with database.transaction() as session:
        rows = add_stream(session, scores, MONDAY)

    against_stream = look(database).martingales[1]

    assert against_stream.is_alarm
    assert rows[300]["received_at"] <= against_stream.alarmed_at


def test_the_same_question_has_the_same_answer(database):
    with database.transaction() as session:
        add_stream(session, np.round(draw(200)).tolist(), MONDAY)  # ties are broken at random

    assert look(database) == look(database)


def test_a_patient_has_one_vote_and_every_case_counts(database):
    with database.transaction() as session:
        add_stream(session, draw(40), MONDAY, patient_id=[f"P{n % 10}" for n in range(40)])
        add_stream(session, draw(5), MONDAY, patient_id=None)

    view = look(database)

    assert view.cases.total == 45
    assert view.scores[0].votes == 15


def test_single_slices_and_volumes_are_compared_with_their_own_calibration(database):
    both = Calibrations(slice=make_calibration(100), volume=make_calibration(50))
    with database.transaction() as session:
        add_stream(session, draw(30), MONDAY, slice_count=[1, 12, 12] * 10)

    views = look(database, calibrations=both).scores

    assert [(view.kind, view.votes, view.calibration_count) for view in views] == [
        ("slice", 10, 100),
        ("volume", 20, 50),
    ]


def test_without_calibration_the_stream_alone_is_watched(database):
    with database.transaction() as session:
        add_stream(session, draw(30), MONDAY)

    view = look(database, calibrations=None)

    assert (view.scores, [bet.against for bet in view.martingales]) == ([], ["stream"])


def test_precision_is_of_the_flagged_that_people_judged(database):
    with database.transaction() as session:
        add_stream(session, [9.0] * 4, MONDAY, review=["confirmed"] * 3 + ["dismissed"])
        add_stream(session, [9.0] * 3, MONDAY, review=["unsure", "none", "none"], site="south")
        add_stream(session, [0.0] * 5, MONDAY, review="dismissed")

    view = look(database)

    north, south = view.by_site
    assert (view.cases.anomalous, view.cases.typical) == (7, 5)
    assert (view.cases.confirmed, view.cases.dismissed, view.cases.unsure) == (3, 1, 1)
    assert (view.cases.precision.count, view.cases.precision.total) == (3, 4)
    assert view.cases.precision.share == 0.75
    assert (north.name, north.precision.total) == ("north", 4)
    assert (south.name, south.precision.share) == ("south", None)


def test_indeterminate_cases_are_counted_and_no_alerts(database):
    with database.transaction() as session:
        add_stream(session, draw(10), MONDAY, verdict=["indeterminate"] * 4 + ["typical"] * 6)

    view = look(database)

    assert (view.cases.indeterminate, view.cases.alerts.total) == (4, 6)
    assert (view.scores[0].votes, view.scores[0].alerts.total) == (10, 6)


def test_cases_are_counted_by_place_and_bundle(database):
    with database.transaction() as session:
        add_stream(session, draw(3), MONDAY, site=["a", "a", None], device=["x", "y", "y"])
        add_stream(session, draw(2), MONDAY, sender="key:2", sender_name="MR 2")
        add_stream(session, draw(4), MONDAY, bundle_digest=OTHER_BUNDLE)
        unscored = {"verdict": None, "score": None, "bundle_digest": None}
        add_stream(session, draw(1), MONDAY, state="queued", **unscored)

    view = look(database)

    assert list_names(view.by_bundle) == [(BUNDLE, 5), (OTHER_BUNDLE, 4)]
    assert list_names(view.by_site) == [("a", 2), ("north", 2), (None, 1)]
    assert list_names(view.by_device) == [("ACME One", 2), ("y", 2), ("x", 1)]
    assert [(tally.name, tally.title) for tally in view.by_sender] == [
        ("key:1", "CT 1"),
        ("key:2", "MR 2"),
    ]


def test_weeks_begin_on_monday_and_come_in_order(database):
    with database.transaction() as session:
        for days in (-1, 0, 6, 7):  # Sunday, Monday, Sunday, Monday
            add_stream(session, [0.0], MONDAY + timedelta(days=days, hours=23, minutes=59))

    assert list_names(look(database).by_week) == [
        ("2029-12-31", 1),
        ("2030-01-07", 2),
        ("2030-01-14", 1),
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (MonitoringFilter(site="north"), 6),
        (MonitoringFilter(site="south"), 4),
        (MonitoringFilter(device="ACME Two"), 4),
        (MonitoringFilter(sender="key:7"), 4),
        (MonitoringFilter(received_from=MONDAY + timedelta(minutes=50)), 1),
        (MonitoringFilter(received_before=MONDAY + timedelta(minutes=10)), 2),
        (MonitoringFilter(site="north", sender="key:7"), 0),
    ],
)
def test_filters_hold_for_counts_and_scores(database, wanted, count):
    with database.transaction() as session:
        add_stream(session, draw(6), MONDAY)
        elsewhere = {"site": "south", "device": "ACME Two", "sender": "key:7"}
        add_stream(session, draw(4), MONDAY, patient_id=None, **elsewhere)

    view = look(database, wanted)

    assert (view.cases.total, view.scores[0].votes) == (count, count)


def test_an_empty_service_has_something_to_show(database):
    view = look(database, bundle=None, calibrations=None)

    assert (view.bundle, view.cases.total, view.by_week) == (None, 0, [])
    assert view.cases.alerts.share is None


def test_more_cases_than_are_compared_are_told(database, monkeypatch):
    monkeypatch.setattr(service, "MOST_CASES", 20)
    with database.transaction() as session:
        add_stream(session, draw(30), MONDAY)

    view = look(database)

    assert view.is_cut
    assert (view.cases.total, view.scores[0].votes) == (30, 20)


@pytest.mark.slow
def test_among_100_000_cases_the_answer_takes_a_moment(database):
    with database.transaction() as session:
        fill_worklist(session, 100_000, MONDAY)

    started_s = time.perf_counter()
    view = look(database)

    assert time.perf_counter() - started_s < 5.0  # half a second on an idle core
    assert sum(tally.total for tally in view.by_bundle) > 98_000
