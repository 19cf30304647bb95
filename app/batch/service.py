"""The life of a job once it is planned: leased chunk by chunk, kept, cancelled.

Nothing here commits. Each function locks the job's row first, then cases, then blobs, and appends
to the audit trail last, so that transactions wait for each other in one order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Event, record_event
from app.batch.orders import Lease
from app.batch.pace import note_pace
from app.batch.repository import JobRepository
from app.batch.states import OPEN, JobState, check_move
from app.batch.tables import ChunkRow, FailureRow, JobRow
from app.cases.repository import CaseRepository
from app.errors import PoisonScan

WORKER = "batch"


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """Cases of a chunk, life of a lease, and how often a chunk is begun before it is suspect."""

    chunk_cases: int
    lease: timedelta
    max_attempts: int


def cancel_job(session: Session, job_id: UUID, by: str, at: datetime) -> JobRow:
    """End a job early; chunks in work are given up by those who work on them.

    Raises:
        JobNotFound: there is none.
        MoveNotAllowed: it is done or failed.
    """
    repository = JobRepository(session)
    job = repository.lock(job_id)
    if job.state in {JobState.CANCELLING, JobState.CANCELLED}:
        return job
    _move(job, JobState.CANCELLING)
    job.plan_after = job.plan_last = None
    repository.forget_free(job_id, at)
    end_if_settled(session, job, at)
    record_event(session, Event(by, Action.JOB_CANCELLED, f"job:{job_id}", {}), at)
    return job


def end_cancelled(session: Session, at: datetime) -> None:
    """End cancelled jobs whose chunks were held by processes that are no more."""
    repository = JobRepository(session)
    for job_id in repository.list_in(JobState.CANCELLING):
        job = repository.lock(job_id)
        repository.forget_free(job_id, at)
        end_if_settled(session, job, at)


def fail_job(session: Session, job_id: UUID, reason: str, at: datetime) -> None:
    """End a job whose bundle cannot be used."""
    repository = JobRepository(session)
    job = repository.lock(job_id)
    if job.state not in OPEN:
        return
    _move(job, JobState.FAILED)
    job.reason, job.finished_at = reason[:64], at
    repository.forget_all(job_id)
    session.flush()
    detail = {"code": reason}
    record_event(session, Event(WORKER, Action.JOB_FAILED, f"job:{job_id}", detail), at)


def lease_chunk(
    session: Session, job_id: UUID, owner: str, rules: LeaseRules, at: datetime
) -> Lease | None:
    """Take the first chunk of a job that nobody works on.

    A chunk that was begun too often may hold what ends the process: it is broken up into its
    cases, and a case that was begun alone too often has failed.
    """
    repository = JobRepository(session)
    job = repository.lock(job_id)
    if job.plan_last is not None:
        return None  # still being planned
    while job.state in OPEN and (chunk := repository.find_free(job_id, at)) is not None:
        if chunk.attempt_count < rules.max_attempts:
            return _take(session, job, chunk, owner, at, rules.lease)
        _break_up(session, job, chunk, at)
    return None


def abandon_chunk(session: Session, lease: Lease, at: datetime, *, counts: bool) -> None:
    """Give a chunk back unsettled; `counts` when the attempt says something against it."""
    repository = JobRepository(session)
    job = repository.lock(lease.job_id)
    chunk = repository.find_leased(lease)
    if chunk is None:
        return
    if job.state == JobState.CANCELLING:
        end_chunk(session, job, chunk, at)
        return
    chunk.owner = chunk.leased_until = None
    chunk.attempt_count -= 0 if counts else 1
    session.flush()


def end_chunk(session: Session, job: JobRow, chunk: ChunkRow, at: datetime) -> None:
    """Take a settled chunk away, and end the job with its last one."""
    JobRepository(session).forget_chunk(chunk)
    note_pace(job, at)
    end_if_settled(session, job, at)


def end_if_settled(session: Session, job: JobRow, at: datetime) -> None:
    """End a job of which nothing is left."""
    session.flush()
    if JobRepository(session).has_chunks(job.id):
        return
    is_cancelled = job.state == JobState.CANCELLING
    _move(job, JobState.CANCELLED if is_cancelled else JobState.DONE)
    job.finished_at = at
    session.flush()
    if not is_cancelled:
        detail = {"done": job.done_count, "failed": job.failed_count, "flips": job.flip_count}
        record_event(session, Event(WORKER, Action.JOB_DONE, f"job:{job.id}", detail), at)


def _take(
    session: Session, job: JobRow, chunk: ChunkRow, owner: str, at: datetime, life: timedelta
) -> Lease:
    if job.state == JobState.WAITING:
        _move(job, JobState.RUNNING)
        job.started_at = at
        note_pace(job, at)
    chunk.owner, chunk.leased_until = owner, at + life
    chunk.attempt_count += 1
    session.flush()
    case_ids = tuple(UUID(text) for text in chunk.case_ids)
    return Lease(job.id, chunk.number, owner, case_ids, job.bundle_digest, job.is_dry_run)


def _break_up(session: Session, job: JobRow, chunk: ChunkRow, at: datetime) -> None:
    repository = JobRepository(session)
    case_ids = [UUID(text) for text in chunk.case_ids]
    if len(case_ids) > 1:
        first = repository.find_last_number(job.id) + 1
        repository.forget_chunk(chunk)
        repository.add_chunks(job.id, first, [[case_id] for case_id in case_ids])
        return
    if case_ids[0] in CaseRepository(session).lock_cases(case_ids):
        repository.add(FailureRow(job_id=job.id, case_id=case_ids[0], code=PoisonScan().code))
    job.failed_count += 1
    end_chunk(session, job, chunk, at)


def _move(job: JobRow, to: JobState) -> None:
    check_move(JobState(job.state), to)
    job.state = to
