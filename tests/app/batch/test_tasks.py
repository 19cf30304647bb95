import threading
import time
from collections import Counter

import pytest
from sqlalchemy import func, select

from app.audit.service import verify_chain
from app.batch.executor import ChunkOrder, ExecutorLimits, LocalExecutor
from app.batch.repository import JobRepository
from app.batch.service import cancel_job
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow
from app.cases.retention import RetentionRules, expire_cases
from app.cases.tables import FindingRow
from app.errors import EngineUnavailable, StorageFull
from app.storage.identifiers import draw_id
from models.errors import BundleNotFound, DigestMismatch
from tests.builders.cases import OTHER_BUNDLE
from tests.builders.rescoring import (
    ADMIN,
    LEASES,
    ONE,
    OTHER,
    FakeExecutor,
    count_settled,
    list_notes,
    say,
)

PATIENCE_S = 30.0


def await_state(find, job, *states):
    deadline = time.monotonic() + PATIENCE_S
    while (row := find(job.id)).state not in states:
        assert time.monotonic() < deadline, row.state
        time.sleep(0.01)
    return row


def test_a_runner_settles_all_chunks_under_the_held_bundle(plan, build_runner, find):
    job, executor = plan(10), FakeExecutor()

    worked = [build_runner(executor).work(ONE) for _ in range(2)]

    assert worked == [True, False]
    assert executor.held == [job.bundle_digest]
    assert count_settled(find(job.id)) == (10, 0, 0, 10)


def test_two_processes_never_score_the_same_case(plan, build_runner, find):
    job, executors = plan(40), [FakeExecutor(), FakeExecutor()]
    begun = [threading.Event(), threading.Event()]
    for executor, own, other in zip(executors, begun, reversed(begun), strict=True):
        executor.before_answer = lambda own=own, other=other: own.set() or other.wait(PATIENCE_S)
    runners = [build_runner(executor) for executor in executors]

    for runner in runners:
        runner.start()
    done = await_state(find, job, JobState.DONE)
    for runner in runners:
        runner.stop(PATIENCE_S)

    counted = Counter(case for executor in executors for case in executor.scored)
    assert count_settled(done) == (40, 0, 0, 40)
    assert set(counted.values()) == {1}
    assert all(executor.scored for executor in executors)


def test_a_chunk_of_a_dead_process_is_taken_over_and_what_comes_late_is_dropped(
    plan, build_runner, clock, find
):
    job, late, quick = plan(4), FakeExecutor(say("indeterminate")), FakeExecutor(say("typical"))
    slow, other = build_runner(late), build_runner(quick)

    def die_for_a_while():
        clock.move(LEASES.lease.total_seconds() + 1)
        other.work(OTHER)

    late.before_answer = die_for_a_while
    slow.work(ONE)

    assert count_settled(find(job.id)) == (4, 0, 0, 4)
    assert (len(late.scored), len(quick.scored)) == (4, 4)
    assert find(job.id).state == JobState.DONE


def test_a_beating_process_keeps_its_chunk(plan, build_runner, clock, find):
    job, executor, other = plan(4), FakeExecutor(), FakeExecutor()
    runner, rival = build_runner(executor), build_runner(other)

    def work_long():
        for _ in range(3):
            clock.move(LEASES.lease.total_seconds() / 2)
            runner.beat()
        rival.work(OTHER)

    executor.before_answer = work_long
    runner.work(ONE)

    assert (len(executor.scored), len(other.scored)) == (4, 0)
    assert count_settled(find(job.id)) == (4, 0, 0, 4)


def test_cancelling_stops_what_is_in_work(plan, build_runner, storage, clock, find):
    job, executor = plan(8), FakeExecutor()
    runner = build_runner(executor)

    def cancel():
        with storage.database.transaction() as session:
            cancel_job(session, job.id, ADMIN, clock.now())
        runner._stop_cancelled()

    executor.before_answer = cancel
    runner.work(ONE)

    assert executor.scored == []
    assert find(job.id).state == JobState.CANCELLED


def test_a_bundle_that_cannot_be_used_fails_the_job(plan, build_runner, find):
    job, executor = plan(4), FakeExecutor()
    executor.hold = refuse(DigestMismatch())

    build_runner(executor).work(ONE)

    assert (find(job.id).state, find(job.id).reason) == (JobState.FAILED, "digest_mismatch")


def test_a_bundle_that_is_not_on_this_machine_leaves_the_job_to_others(plan, build_runner, find):
    job, executor, other = plan(4), FakeExecutor(), FakeExecutor()
    executor.hold = refuse(BundleNotFound())
    runner = build_runner(executor)

    worked = [runner.work(ONE), runner.work(ONE), build_runner(other).work(OTHER)]

    assert worked == [False, False, True]
    assert find(job.id).state == JobState.DONE


@pytest.mark.parametrize("error", [EngineUnavailable(), StorageFull()])
def test_what_is_no_fault_of_a_scan_lets_the_chunk_wait(plan, build_runner, find, error):
    job, executor = plan(4), FakeExecutor()
    runner = build_runner(executor)

    executor.before_answer = raise_it(error)
    for _ in range(3 * LEASES.max_attempts):
        with pytest.raises(type(error)):
            runner.work(ONE)
    executor.before_answer = lambda: None
    runner.work(ONE)

    assert count_settled(find(job.id)) == (4, 0, 0, 4)


def test_a_chunk_that_fails_again_and_again_costs_its_poison_scan_alone(
    plan, build_runner, storage, find
):
    job, executor = plan(4), FakeExecutor()
    with storage.database.reading() as session:
        first = JobRepository(session).find_free(job.id, job.created_at).case_ids[0]

    def answer(case_id, digest):
        if str(case_id) == first:
            raise RuntimeError("a bug")
        return say("typical")(case_id, digest)

    executor.answer = answer
    runner = build_runner(executor)
    runner.start()
    done = await_state(find, job, JobState.DONE)
    runner.stop(PATIENCE_S)

    failures = list_notes(storage, FailureRow, job)
    assert count_settled(done) == (3, 1, 0, 3)
    assert [(str(row.case_id), row.code) for row in failures] == [(first, "poison_scan")]


def test_a_stopped_runner_gives_its_chunk_back_at_once(plan, build_runner, find):
    job, executor, other = plan(4), FakeExecutor(), FakeExecutor()
    runner = build_runner(executor)
    begun = threading.Event()

    def linger():
        begun.set()
        time.sleep(0.2)

    executor.before_answer = linger
    runner.start()
    begun.wait(PATIENCE_S)
    runner.stop(PATIENCE_S)

    worked = build_runner(other).work(OTHER)

    assert executor.scored == []
    assert worked
    assert find(job.id).state == JobState.DONE


def test_nothing_is_leased_while_nothing_can_be_scored(plan, build_runner, find):
    job, executor = plan(4), FakeExecutor()
    executor.is_ready = False
    runner = build_runner(executor)

    runner.start()
    time.sleep(0.1)
    waiting = find(job.id).state
    executor.is_ready = True
    runner.wake()
    await_state(find, job, JobState.DONE)
    runner.stop(PATIENCE_S)

    assert waiting == JobState.WAITING


def expire_all(storage, clock):
    """Delete every settled case, as retention does."""
    rules = RetentionRules(days=0, flagged_days=0)
    return expire_cases(storage.database, rules, clock.now())


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_cases_that_retention_deletes_while_a_job_scores_them_are_skipped(
    storage, plan, build_runner, find, clock, is_dry_run
):
    job, executor = plan(10, is_dry_run=is_dry_run), FakeExecutor()
    deleted = []
    executor.before_answer = lambda: deleted.append(expire_all(storage, clock))

    while build_runner(executor).work("process"):
        pass

    ended = find(job.id)
    assert (ended.state, count_settled(ended)) == (JobState.DONE, (0, 0, 10, 0))
    assert sum(deleted) == 10
    assert len(executor.scored) == 4, "what was deleted before is not scored"
    with storage.database.reading() as session:
        tables = (FindingRow, FlipRow, FailureRow)
        counts = [session.scalar(select(func.count()).select_from(each)) for each in tables]
        verify_chain(session)
    assert counts == [0, 0, 0]


def test_retention_and_a_job_that_go_over_the_same_cases_hinder_each_other_not(
    storage, plan, build_runner, find, clock
):
    job, executor = plan(40), FakeExecutor()
    runner = build_runner(executor)

    runner.start()
    deleted = 0
    for _ in range(5):
        deleted += expire_all(storage, clock)
    await_state(find, job, JobState.DONE)
    runner.stop(PATIENCE_S)

    done, failed, skipped, _ = count_settled(find(job.id))
    assert deleted == 40
    assert (done + skipped, failed) == (40, 0)


def test_a_case_that_was_deleted_before_its_files_were_read_has_failed_alone(storage, clock):
    limits = ExecutorLimits(max_scans=1, max_px=2**20, decoder_count=1)
    executor = LocalExecutor(storage, None, None, None, limits)
    order = ChunkOrder([draw_id(clock.now())], OTHER_BUNDLE, keeps_maps=True)

    (scored,) = executor.score(order, threading.Event())

    executor.close()
    assert (scored.finding, scored.failure_code) == (None, "case_not_found")


def refuse(error):
    def hold(_digest):
        raise error

    return hold


def raise_it(error):
    def fail():
        raise error

    return fail
