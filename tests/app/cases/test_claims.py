"""Of all processes on one database one scores a case; what a dead one had, another claims."""

from datetime import timedelta
from itertools import chain
from threading import Thread

import pytest

from app.cases.claims import Claim, claim_cases, end_owner, list_claimable, renew_owner
from app.cases.repository import CaseRepository
from app.cases.service import grow_case, keep_finding
from app.cases.states import CaseState
from tests.builders.cases import build_case, build_finding

LIFE = timedelta(seconds=8)


def fill(database, clock, count):
    """Queue cases, and give their ids, the oldest first."""
    with database.transaction() as session:
        return [build_case(session, clock.now(), b"%d" % n).id for n in range(count)]


def claim(database, clock, owner, limit=100, on_line=()):
    """Claim as a living process does."""
    now = clock.now()
    order = Claim(owner, limit, now - timedelta(seconds=5), max_attempts=3)
    with database.transaction() as session:
        renew_owner(session, owner, now, LIFE)
    with database.transaction() as session:
        return claim_cases(session, order, on_line, now)


def find_case(database, case_id):
    with database.reading() as session:
        return CaseRepository(session).get_case(case_id)


def test_processes_that_start_together_claim_every_case_once(database, clock):
    cases = fill(database, clock, 40)
    claimed = {}

    def work(owner):
        claimed[owner] = []
        while found := claim(database, clock, owner, 3):
            claimed[owner] += found

    threads = [Thread(target=work, args=[owner]) for owner in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leftover = claim(database, clock, "d")

    assert sorted([*chain(*claimed.values()), *leftover]) == sorted(cases)


def test_what_a_living_process_has_is_left_to_it_and_what_a_dead_one_had_is_claimed(
    database, clock
):
    cases = fill(database, clock, 2)
    claim(database, clock, "a")

    while_alive = claim(database, clock, "b")
    clock.move(LIFE.total_seconds() + 1)
    after_its_end = claim(database, clock, "b")

    assert while_alive == []
    assert after_its_end == cases


def test_a_process_that_renews_its_lease_keeps_its_cases(database, clock):
    fill(database, clock, 1)
    claim(database, clock, "a")

    for _ in range(5):
        clock.move(LIFE.total_seconds() / 2)
        with database.transaction() as session:
            renew_owner(session, "a", clock.now(), LIFE)
        assert claim(database, clock, "b") == []


def test_what_a_process_leaves_when_it_stops_is_free_at_once(database, clock):
    cases = fill(database, clock, 1)
    claim(database, clock, "a")

    with database.transaction() as session:
        end_owner(session, "a", clock.now())

    assert claim(database, clock, "b") == cases


def test_cases_that_fell_off_the_line_of_a_process_are_claimed_again_by_it(database, clock):
    first, second = fill(database, clock, 2)
    claim(database, clock, "a")
    clock.move(6)  # what its uploads are just handing over is left alone

    again = claim(database, clock, "a", on_line={first})

    assert again == [second]
    assert find_case(database, second).attempt_count == 0


def test_a_case_that_processes_leave_behind_again_and_again_is_set_aside(database, clock):
    (case,) = fill(database, clock, 1)

    claims = []
    for owner in ("a", "b", "c", "d", "e"):
        claims.append(claim(database, clock, owner))
        clock.move(LIFE.total_seconds() + 1)

    assert claims == [[case]] * 4 + [[]]
    left = find_case(database, case)
    assert (left.state, left.failure_code) == (CaseState.QUARANTINED, "poison_scan")


def test_scored_cases_are_claimed_by_nobody_and_grown_ones_by_whoever_comes(database, clock):
    (case,) = fill(database, clock, 1)
    claim(database, clock, "a")
    with database.transaction() as session:
        keep_finding(session, case, build_finding(), clock.now(), is_shown=True)

    while_scored = claim(database, clock, "b")
    with database.transaction() as session:
        grow_case(session, CaseRepository(session).lock_case(case), [], clock.now())
    once_grown = claim(database, clock, "b")

    assert (while_scored, once_grown) == ([], [case])


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_is_claimed_than_there_is_room_for_and_the_oldest_first(database, clock, limit):
    cases = fill(database, clock, 3)

    assert claim(database, clock, "a", limit) == cases[:limit]


def test_looking_for_cases_writes_nothing(database, clock):
    cases = fill(database, clock, 1)
    order = Claim("a", 10, clock.now(), max_attempts=3)

    with database.reading() as session:
        found = list_claimable(session, order, (), clock.now())

    assert found == cases
    assert find_case(database, cases[0]).owner is None
