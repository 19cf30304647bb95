from datetime import timedelta

import pytest

from app.audit.repository import AuditFilter, AuditRepository
from app.batch.planning import create_job
from app.batch.repository import JobRepository
from app.batch.service import (
    abandon_chunk,
    cancel_job,
    end_cancelled,
    fail_job,
)
from app.batch.states import ENDED, MOVES, JobState
from app.batch.tables import FailureRow
from app.errors import BundleNotRegistered, MoveNotAllowed
from tests.builders.cases import BUNDLE
from tests.builders.rescoring import (
    ADMIN,
    LEASES,
    OTHER,
    build_scored,
    count_settled,
    list_notes,
    order_job,
    plan_now,
    settle,
    take,
)


def list_actions(storage):
    with storage.database.reading() as session:
        return [row.action for row in AuditRepository(session).list_page(AuditFilter(), None, 1000)]


def test_a_job_is_planned_in_chunks_over_the_cases_of_its_filter(storage, clock):
    with storage.database.transaction() as session:
        wanted = build_scored(session, 10, clock, site="North")
        build_scored(session, 5, clock, site="South")
    job = plan_now(storage, order_job(site="North"), clock)

    chunks = [take(storage, job, clock).case_ids for _ in range(3)]

    assert job.total_count == 10
    assert [len(case_ids) for case_ids in chunks] == [4, 4, 2]
    assert {each for ids in chunks for each in ids} == {case.id for case in wanted}
    assert take(storage, job, clock) is None


def test_cases_that_come_later_or_change_later_do_not_move_the_plan(storage, plan, clock, find):
    job = plan(6, verdict="anomalous")

    with storage.database.transaction() as session:
        build_scored(session, 3, clock)
    settle(storage, job, clock)

    assert count_settled(find(job.id)) == (6, 0, 0, 6)


def test_a_job_without_cases_is_done_at_once(plan):
    job = plan(0)

    assert (job.state, job.total_count) == (JobState.DONE, 0)


def test_a_job_needs_a_registered_bundle(plan):
    with pytest.raises(BundleNotRegistered):
        plan(1, bundle="d" * 64)


def test_a_lease_holds_until_it_runs_out(storage, plan, clock):
    job = plan(4)
    take(storage, job, clock)

    clock.move(29)
    early = take(storage, job, clock, OTHER)
    clock.move(2)
    late = take(storage, job, clock, OTHER)

    assert early is None
    assert late.owner == OTHER


def test_a_renewed_lease_goes_on(storage, plan, clock):
    job = plan(4)
    held = take(storage, job, clock)

    clock.move(20)
    with storage.database.transaction() as session:
        is_held = JobRepository(session).renew(held, clock.now() + timedelta(seconds=30))
    clock.move(20)

    assert is_held
    assert take(storage, job, clock, OTHER) is None


def test_a_chunk_that_ends_its_process_again_and_again_is_broken_up(storage, plan, clock, find):
    job = plan(4)
    for _ in range(LEASES.max_attempts):
        take(storage, job, clock)
        clock.move(31)

    alone = take(storage, job, clock)
    poison = alone.case_ids
    clock.move(31)
    take(storage, job, clock)
    clock.move(31)
    settle(storage, job, clock)

    after = find(job.id)
    assert len(poison) == 1
    assert (after.state, count_settled(after)) == (JobState.DONE, (3, 1, 0, 3))
    assert list_notes(storage, FailureRow, job)[0].code == "poison_scan"
    assert list_notes(storage, FailureRow, job)[0].case_id == poison[0]


def test_a_chunk_given_back_in_peace_is_no_attempt(storage, plan, clock):
    job = plan(4)

    for _ in range(3 * LEASES.max_attempts):
        held = take(storage, job, clock)
        with storage.database.transaction() as session:
            abandon_chunk(session, held, clock.now(), counts=False)

    assert len(take(storage, job, clock).case_ids) == 4


def test_a_waiting_job_is_cancelled_at_once(storage, plan, clock):
    job = plan(8)

    with storage.database.transaction() as session:
        cancelled = cancel_job(session, job.id, ADMIN, clock.now())

    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, clock.now())
    assert take(storage, job, clock) is None


def test_a_running_job_ends_when_its_chunks_are_given_up(storage, plan, clock, find):
    job = plan(8)
    held = take(storage, job, clock)

    with storage.database.transaction() as session:
        cancelling = cancel_job(session, job.id, ADMIN, clock.now()).state
        again = cancel_job(session, job.id, ADMIN, clock.now()).state
    with storage.database.transaction() as session:
        abandon_chunk(session, held, clock.now(), counts=False)

    assert (cancelling, again) == (JobState.CANCELLING, JobState.CANCELLING)
    assert (find(job.id).state, count_settled(find(job.id))) == (JobState.CANCELLED, (0, 0, 0, 0))


def test_a_cancelled_job_whose_process_is_dead_ends_when_the_lease_does(storage, plan, clock, find):
    job = plan(4)
    take(storage, job, clock)
    with storage.database.transaction() as session:
        cancel_job(session, job.id, ADMIN, clock.now())

    states = []
    for seconds in (10, 30):
        clock.move(seconds)
        with storage.database.transaction() as session:
            end_cancelled(session, clock.now())
        states.append(find(job.id).state)

    assert states == [JobState.CANCELLING, JobState.CANCELLED]


def test_an_ended_job_cannot_be_cancelled(storage, plan, clock):
    job = plan(1)
    settle(storage, job, clock)

    with storage.database.transaction() as session, pytest.raises(MoveNotAllowed):
        cancel_job(session, job.id, ADMIN, clock.now())


def test_a_job_whose_bundle_cannot_be_used_fails_with_the_reason(storage, plan, clock, find):
    job = plan(4)

    with storage.database.transaction() as session:
        fail_job(session, job.id, "digest_mismatch", clock.now())

    assert (find(job.id).state, find(job.id).reason) == (JobState.FAILED, "digest_mismatch")
    assert take(storage, job, clock) is None


def test_begin_cancel_and_end_stand_in_the_audit_trail(storage, plan, clock):
    settle(storage, plan(1), clock)
    with storage.database.transaction() as session:
        cancel_job(session, plan_second(session, clock).id, ADMIN, clock.now())

    actions = [action for action in reversed(list_actions(storage)) if action.startswith("job")]

    assert actions == ["job_started", "job_done", "job_started", "job_cancelled"]


def plan_second(session, clock):
    return create_job(session, order_job(BUNDLE), clock.now())


def test_from_every_open_state_there_is_a_way_to_an_end():
    assert {JobState.CANCELLED, JobState.DONE, JobState.FAILED} == ENDED
    assert all(MOVES[state] for state in JobState if state not in ENDED)
