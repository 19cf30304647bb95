"""Routes of the jobs pages: how far re-scoring is, and which verdicts it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.auth.access import CanReadJobs, CanRunJobs
from app.auth.permissions import Permission, Principal
from app.batch.operation import JobOperator
from app.batch.routes import TheOperator
from app.batch.schemas import FlipList, JobView, RescoreBody
from app.batch.tables import FlipRow
from app.bundles.repository import BundleRepository
from app.errors import InvalidCursor
from app.web.pages import Pages, ThePages
from app.web.words import tell_age, tell_duration

router = APIRouter(prefix="/jobs", include_in_schema=False)

MAX_JOBS = 50
MAX_FLIPS = 100
_ENDED = {"cancelled", "done", "failed"}

Cursor = Annotated[str | None, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as it is read."""

    job: JobView
    bundle: str
    age: str
    settled: int
    is_ended: bool
    may_cancel: bool
    pace: str


@router.get("")
def show_jobs(
    caller: CanReadJobs, request: Request, pages: ThePages, operator: TheOperator
) -> HTMLResponse:
    """Show the latest jobs, and a form for a new one."""
    pages.note_page(caller, "jobs")
    with pages.storage.database.reading() as session:
        bundles = [
            (row.digest, row.name, row.state) for row in BundleRepository(session).list_all()
        ]
    jobs = operator.list_jobs(None, MAX_JOBS).items
    return pages.show(
        request,
        caller,
        "jobs.html.j2",
        "Jobs",
        lines=[_build_line(job, pages, caller) for job in jobs],
        bundles=[(digest, pages.bundles.name(digest), state) for digest, _, state in bundles],
        may_run=caller.may(Permission.RUN_JOBS),
    )


@router.post("")
def start_job(
    caller: CanRunJobs,
    operator: TheOperator,
    bundle: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    kind: Annotated[str, Form(pattern="^(try|keep)$")] = "try",
) -> Response:
    """Score all cases again, or try what that would change."""
    job = operator.rescore(RescoreBody(bundle=bundle, is_dry_run=kind == "try"), caller.id)
    return Response(status_code=204, headers={"HX-Redirect": f"/jobs/{job.id}"})


@router.get("/{job_id}")
def show_job(
    caller: CanReadJobs,
    job_id: UUID,
    request: Request,
    pages: ThePages,
    operator: TheOperator,
    cursor: Cursor = None,
) -> HTMLResponse:
    """Show a job with the cases whose verdict changes."""
    pages.note_page(caller, "job")
    line = _build_line(operator.show(job_id), pages, caller)
    flips = _list_flips(operator, job_id, cursor)
    return pages.show(request, caller, "job.html.j2", "Job", line=line, flips=flips)


@router.get("/{job_id}/progress")
def show_progress(
    caller: CanReadJobs, job_id: UUID, pages: ThePages, operator: TheOperator
) -> HTMLResponse:
    """Show how far a job is; the whole page once more when it has ended."""
    line = _build_line(operator.show(job_id), pages, caller)
    answer = pages.show_part("job_progress.html.j2", line=line)
    if line.is_ended:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.post("/{job_id}/cancel")
def cancel_job(caller: CanRunJobs, job_id: UUID, operator: TheOperator) -> Response:
    """End a job early."""
    operator.cancel(job_id, caller.id)
    return Response(status_code=204, headers={"HX-Refresh": "true"})


def _list_flips(operator: JobOperator, job_id: UUID, cursor: str | None) -> FlipList:
    try:
        after = None if cursor is None else UUID(hex=cursor)
    except ValueError:
        raise InvalidCursor from None
    return FlipList.build(operator.list_notes(FlipRow, job_id, after, MAX_FLIPS + 1), MAX_FLIPS)


def _build_line(job: JobView, pages: Pages, caller: Principal) -> JobLine:
    is_ended = job.status in _ENDED
    return JobLine(
        job=job,
        bundle=pages.bundles.name(job.bundle),
        age=tell_age(job.created_at, pages.clock.now()),
        settled=job.done + job.failed + job.skipped,
        is_ended=is_ended,
        may_cancel=not is_ended and caller.may(Permission.RUN_JOBS),
        pace=_tell_pace(job),
    )


def _tell_pace(job: JobView) -> str:
    parts: Sequence[str] = (
        f"{job.rate_per_s:.1f} cases a second" if job.rate_per_s else "",
        f"{tell_duration(job.left_s)} left" if job.left_s else "",
    )
    return ", ".join(part for part in parts if part)
