"""The cases of a job, fixed page by page: each page is a short transaction, others write between.

A job that is being planned waits, and nobody begins with it. Where it stands is in its row: what a
killed process began another plans to the end.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Detail, Event, record_event
from app.batch.orders import NewJob
from app.batch.repository import JobRepository
from app.batch.service import end_if_settled
from app.batch.states import JobState
from app.batch.tables import JobRow
from app.bundles.repository import BundleRepository
from app.cases.repository import CaseRepository
from app.cases.schemas import CaseSelection
from app.storage.database import Database
from app.storage.identifiers import draw_id

RESCORE = "rescore"
PLAN_PAGE = 1000


def create_job(session: Session, new: NewJob, at: datetime) -> JobRow:
    """Open a job that is to be planned: over the cases up to the newest of now.

    Raises:
        BundleNotRegistered: there is no such bundle.
    """
    BundleRepository(session).get(new.bundle_digest)
    job = JobRow(
        id=draw_id(at),
        kind=RESCORE,
        state=JobState.WAITING,
        bundle_digest=new.bundle_digest,
        selection=new.selection.model_dump(mode="json", exclude_none=True),
        is_dry_run=new.is_dry_run,
        total_count=0,
        plan_last=CaseRepository(session).find_last_id(),
        created_at=at,
        created_by=new.by,
    )
    JobRepository(session).add(job)
    detail: Detail = {"bundle": job.bundle_digest, "dry": job.is_dry_run}
    record_event(session, Event(new.by, Action.JOB_STARTED, f"job:{job.id}", detail), at)
    if job.plan_last is None:
        end_if_settled(session, job, at)
    return job


def plan_job(database: Database, job_id: UUID, chunk_cases: int, at: datetime) -> None:
    """Plan a job to its end, unless another does or it is cancelled meanwhile."""
    size = max(1, PLAN_PAGE // chunk_cases) * chunk_cases
    while True:
        # Looked up beside the writers: a rare filter may take a while to fill a page.
        with database.reading() as session:
            job = JobRepository(session).get(job_id)
            case_ids = _list_next(session, job, size)
        if job.plan_last is None:
            return
        with database.transaction() as session:
            _add_page(session, job, case_ids, chunk_cases, at, is_last=len(case_ids) < size)


def plan_forsaken(database: Database, chunk_cases: int, at: datetime, life: timedelta) -> None:
    """Plan to the end what others began so long ago that they must be dead."""
    with database.reading() as session:
        job_id = JobRepository(session).find_unplanned(at - life)
    if job_id is not None:
        plan_job(database, job_id, chunk_cases, at)


def _list_next(session: Session, job: JobRow, size: int) -> Sequence[UUID]:
    if job.plan_last is None:
        return []
    wanted = CaseSelection.model_validate(job.selection).build_filter()
    case_ids = CaseRepository(session).list_case_ids(wanted, job.plan_after, size)
    return [case_id for case_id in case_ids if case_id <= job.plan_last]


def _add_page(
    session: Session,
    seen: JobRow,
    case_ids: Sequence[UUID],
    chunk_cases: int,
    at: datetime,
    *,
    is_last: bool,
) -> None:
    """Add a page of chunks to a job, unless another did since it was seen."""
    repository = JobRepository(session)
    job = repository.lock(seen.id)
    if job.plan_last is None or job.plan_after != seen.plan_after:
        return
    chunks = [
        case_ids[start : start + chunk_cases] for start in range(0, len(case_ids), chunk_cases)
    ]
    repository.add_chunks(job.id, -(-job.total_count // chunk_cases), chunks)
    job.total_count += len(case_ids)
    if is_last:
        job.plan_after = job.plan_last = None
        end_if_settled(session, job, at)
    else:
        job.plan_after = case_ids[-1]
    session.flush()
