"""Routes of jobs: score stored cases again, look on, cancel, see which verdicts change."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.auth.access import CanReadJobs, CanRunJobs
from app.batch.events import stream_job
from app.batch.operation import JobOperator
from app.batch.schemas import FailureList, FlipList, JobList, JobView, RescoreBody
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow
from app.error_handlers import describe_errors
from app.errors import InvalidCursor

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

_ERRORS = (401, 403, 404, 422, 429, 503)
_PAGE_ERRORS = (400, *_ERRORS)
_STREAM: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Server-sent events: `job` with the job as data, until it ends.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **describe_errors(*_ERRORS),
}


def get_operator(request: Request) -> JobOperator:
    """Give the job operator of the application that answers."""
    operator: JobOperator = request.app.state.jobs
    return operator


TheOperator = Annotated[JobOperator, Depends(get_operator)]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=64)]


@router.post("/rescore", status_code=202, responses=describe_errors(*_ERRORS, 507))
def rescore_cases(
    caller: CanRunJobs, body: RescoreBody, operator: TheOperator, response: Response
) -> JobView:
    """Score the cases that pass a filter now again, under any registered bundle.

    The findings stand in the history of their cases; a case shows one only where the bundle is
    live when it is kept.
    """
    view = operator.rescore(body, caller.id)
    response.headers["Location"] = f"{router.prefix}/{view.id}"
    return view


@router.get("", responses=describe_errors(400, 401, 403, 422, 429, 503))
def list_jobs(
    _caller: CanReadJobs,
    operator: TheOperator,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: JobState | None = None,
    bundle: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
) -> JobList:
    """Give a page of jobs, the newest first."""
    return operator.list_jobs(read_cursor(cursor), limit, status, bundle)


@router.get("/{job_id}", responses=describe_errors(*_ERRORS))
def show_job(_caller: CanReadJobs, job_id: UUID, operator: TheOperator) -> JobView:
    """Give a job: how far it is, how quickly it goes, how long it will take."""
    return operator.show(job_id)


@router.post("/{job_id}/cancel", responses=describe_errors(*_ERRORS, 409))
def cancel_job(caller: CanRunJobs, job_id: UUID, operator: TheOperator) -> JobView:
    """End a job early; what it has kept stays."""
    return operator.cancel(job_id, caller.id)


@router.get("/{job_id}/flips", responses=describe_errors(*_PAGE_ERRORS))
def list_flips(
    _caller: CanReadJobs,
    job_id: UUID,
    operator: TheOperator,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FlipList:
    """Give a page of the cases whose verdict changes, with both scores."""
    rows = operator.list_notes(FlipRow, job_id, read_cursor(cursor), limit + 1)
    return FlipList.build(rows, limit)


@router.get("/{job_id}/failures", responses=describe_errors(*_PAGE_ERRORS))
def list_failures(
    _caller: CanReadJobs,
    job_id: UUID,
    operator: TheOperator,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FailureList:
    """Give a page of the cases that cannot be scored, each with its reason."""
    rows = operator.list_notes(FailureRow, job_id, read_cursor(cursor), limit + 1)
    return FailureList.build(rows, limit)


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=_STREAM)
def follow_job(
    _caller: CanReadJobs, job_id: UUID, operator: TheOperator, request: Request
) -> StreamingResponse:
    """Follow a job as server-sent events."""
    operator.show(job_id)
    return StreamingResponse(
        stream_job(lambda: operator.show(job_id), request.app.state.ending),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


def read_cursor(cursor: str | None) -> UUID | None:
    """Give the id that a page begins behind.

    Raises:
        InvalidCursor: it is none of ours.
    """
    try:
        return None if cursor is None else UUID(hex=cursor)
    except ValueError:
        raise InvalidCursor from None
