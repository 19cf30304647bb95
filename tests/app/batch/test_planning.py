"""A job's cases are fixed page by page; between two pages others write."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from app.batch import planning
from app.batch.planning import create_job, plan_forsaken, plan_job
from app.batch.service import cancel_job
from app.batch.states import JobState
from app.batch.tables import ChunkRow
from tests.builders.cases import build_case
from tests.builders.rescoring import ADMIN, LEASES, build_scored, order_job, settle, take

PAGE = 8
LIFE = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(planning, "PLAN_PAGE", PAGE)


@pytest.fixture
def job(storage, clock):
    """A job over 30 cases, of which nothing is planned yet."""
    with storage.database.transaction() as session:
        build_scored(session, 30, clock)
    with storage.database.transaction() as session:
        return create_job(session, order_job(), clock.now())


def plan(storage, job, clock):
    plan_job(storage.database, job.id, LEASES.chunk_cases, clock.now())


def list_planned(storage, job):
    """Give the cases of all chunks."""
    with storage.database.reading() as session:
        rows = session.scalars(select(ChunkRow.case_ids).where(ChunkRow.job_id == job.id)).all()
    return [case_id for case_ids in rows for case_id in case_ids]


def test_no_transaction_holds_more_than_a_page(storage, job, clock):
    pages = Counter()
    engine, turn = storage.database.writer, 0

    def count(_connection, _cursor, statement, parameters, _context, is_many):
        if statement.startswith("INSERT INTO job_chunks"):
            pages[turn] += len(parameters) if is_many else 1

    def end(_connection):
        nonlocal turn
        turn += 1

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", end)

    plan(storage, job, clock)

    assert sum(pages.values()) >= 1
    assert len(pages) == 4
    assert len(list_planned(storage, job)) == 30


def test_scans_come_in_between_two_pages_and_are_not_of_the_job(storage, job, clock, monkeypatch):
    list_next, came = planning._list_next, []

    def upload_and_list(session, *arguments):
        with storage.database.transaction() as other:
            came.append(build_case(other, clock.now(), b"live %d" % len(came)).id)
        return list_next(session, *arguments)

    monkeypatch.setattr(planning, "_list_next", upload_and_list)

    plan(storage, job, clock)

    assert len(came) > 4
    planned = list_planned(storage, job)
    assert len(planned) == len(set(planned)) == 30
    assert not {str(case_id) for case_id in came} & set(planned)


def test_nobody_begins_with_a_job_that_is_being_planned(storage, job, clock, find):
    plan_one_page(storage, job, clock)

    early = take(storage, job, clock)
    plan(storage, job, clock)
    settle(storage, job, clock)

    assert early is None
    assert (find(job.id).state, find(job.id).total_count) == (JobState.DONE, 30)


def plan_one_page(storage, job, clock):
    """Plan as a process does that is killed after its first page."""
    with storage.database.reading() as session:
        case_ids = planning._list_next(session, job, PAGE)
    with storage.database.transaction() as session:
        planning._add_page(session, job, case_ids, LEASES.chunk_cases, clock.now(), is_last=False)


def test_two_processes_that_plan_one_job_plan_each_case_once(storage, job, clock, find):
    plan_one_page(storage, job, clock)
    plan_one_page(storage, job, clock)  # saw the same row: adds nothing

    plan(storage, job, clock)

    planned = list_planned(storage, job)
    assert len(planned) == len(set(planned)) == find(job.id).total_count == 30


def test_what_a_killed_process_began_to_plan_another_plans_to_the_end(storage, job, clock, find):
    plan_one_page(storage, job, clock)

    plan_forsaken(storage.database, LEASES.chunk_cases, clock.now(), LIFE)
    too_early = find(job.id).total_count
    clock.move(LIFE.total_seconds() + 1)
    plan_forsaken(storage.database, LEASES.chunk_cases, clock.now(), LIFE)

    assert (too_early, find(job.id).total_count) == (PAGE, 30)


def test_a_job_that_is_cancelled_while_it_is_planned_ends(storage, job, clock, find):
    plan_one_page(storage, job, clock)

    with storage.database.transaction() as session:
        cancel_job(session, job.id, ADMIN, clock.now())
    plan(storage, job, clock)

    with storage.database.reading() as session:
        left = session.scalar(select(func.count()).select_from(ChunkRow))
    assert (find(job.id).state, left) == (JobState.CANCELLED, 0)
