"""What a candidate missed is found again, by one process, and tried once."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from app.analysis.shadows import EVERY, SETTLED, ShadowLine
from app.bundles.service import move_bundle
from app.bundles.states import BundleState
from app.cases.service import keep_finding
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from tests.builders.cases import OTHER_BUNDLE, build_case, build_finding
from tests.builders.rescoring import ADMIN, build_scored, register_bundles


@pytest.fixture
def storage(database, blobs, clock):
    """Two bundles, one of them the candidate since a moment."""
    with database.transaction() as session:
        register_bundles(session, clock)
        build_scored(session, 2, clock)  # before it was candidate
        clock.move(1)
        move_bundle(session, OTHER_BUNDLE, BundleState.CANDIDATE, ADMIN, clock.now())
    return Storage(database, blobs, Watermark((), 0))


@pytest.fixture
def open_line(storage, clock):
    """Give a function that opens the shadows of a process; nothing of them runs."""
    engine = SimpleNamespace(candidate=OTHER_BUNDLE)
    return lambda: ShadowLine(storage, engine, None, clock, lambda *_: None)


def score(storage, clock, count):
    with storage.database.transaction() as session:
        cases = build_scored(session, count, clock)
        build_case(session, clock.now(), b"not scored yet")
        return {case.id for case in cases}


def list_owed(line):
    return {debt.case.id for debt in line._debts.queue}


def test_what_the_candidate_never_scored_is_found_once_it_must_have(storage, open_line, clock):
    cases = score(storage, clock, 3)
    line = open_line()

    early = line.catch_up()
    clock.move((SETTLED + EVERY).total_seconds())
    later = line.catch_up()

    assert (early, later) == (0, 3)
    assert list_owed(line) == cases


def test_what_it_scored_is_not_found(storage, open_line, clock):
    (case,) = score(storage, clock, 1)
    with storage.database.transaction() as session:
        finding = build_finding(bundle_digest=OTHER_BUNDLE)
        keep_finding(session, case, finding, clock.now(), is_shown=False)
    clock.move(SETTLED.total_seconds() + 1)

    assert open_line().catch_up() == 0


def test_of_several_processes_one_makes_up_for_a_case(storage, open_line, clock):
    score(storage, clock, 2)
    clock.move(SETTLED.total_seconds() + 1)

    assert [open_line().catch_up() for _ in range(2)] == [2, 0]


def test_a_case_that_fails_again_is_tried_once_by_each_process(storage, open_line, clock):
    score(storage, clock, 2)
    clock.move(SETTLED.total_seconds() + 1)
    line, other = open_line(), open_line()

    counts = []
    for each in (line, line, other):
        counts.append(each.catch_up())
        clock.move((EVERY + timedelta(seconds=1)).total_seconds())

    assert counts == [2, 0, 2]


def test_without_a_candidate_nothing_is_looked_for(storage, clock):
    line = ShadowLine(storage, SimpleNamespace(candidate=None), None, clock, lambda *_: None)

    assert line.catch_up() == 0
