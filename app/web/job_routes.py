"""Routes of the jobs pages: how far re-scoring is, and which verdicts it changes."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, ValidationError

from app.auth.access import CanReadJobs, CanRunJobs
from app.auth.permissions import Permission
from app.batch.routes import TheOperator, read_cursor
from app.batch.schemas import FailureList, FlipList, RescoreBody
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow
from app.bundles.repository import BundleRepository
from app.cases.schemas import CaseSelection
from app.errors import InvalidRequest
from app.web.job_page import JobLine, build_job
from app.web.pages import Pages, ThePages
from app.web.worklist import link_page

router = APIRouter(prefix="/jobs", include_in_schema=False)

PAGE_SIZE = 50
MAX_NOTES = 100
_STATES = [("", "Any"), *((state.value, state.value.capitalize()) for state in JobState)]

Cursor = Annotated[str | None, Query(max_length=64)]
Short = Annotated[str, Field(max_length=128)]


class JobsQuery(BaseModel):
    """Which jobs; empty fields let all pass."""

    status: Annotated[str, Field(max_length=16)] = ""
    bundle: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    cursor: Annotated[str, Field(max_length=64)] | None = None


class JobForm(BaseModel):
    """What is filled in to start a job; empty fields let all cases pass."""

    bundle: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    kind: Annotated[str, Field(pattern="^(try|keep)$")] = "try"
    verdict: Short = ""
    review: Short = ""
    modality: Short = ""
    site: Short = ""
    received_from: Short = ""
    received_before: Short = ""


@router.get("")
def show_jobs(
    caller: CanReadJobs,
    request: Request,
    pages: ThePages,
    operator: TheOperator,
    wanted: Annotated[JobsQuery, Query()],
) -> HTMLResponse:
    """Show jobs, the newest first, and a form for a new one."""
    pages.note_page(caller, "jobs")
    state, before = _read_state(wanted.status), read_cursor(wanted.cursor)
    found = operator.list_jobs(before, PAGE_SIZE, state, wanted.bundle or None)
    chosen = {"status": wanted.status, "bundle": wanted.bundle}
    return pages.show(
        request,
        caller,
        "jobs.html.j2",
        "Jobs",
        lines=[build_job(job, caller, pages.bundles, pages.clock.now()) for job in found.items],
        bundles=_list_bundles(pages),
        states=_STATES,
        chosen=chosen,
        next_address=found.next_cursor
        and link_page("/jobs", chosen | {"cursor": found.next_cursor}),
        may_run=caller.may(Permission.RUN_JOBS),
    )


@router.post("")
def start_job(
    caller: CanRunJobs, operator: TheOperator, form: Annotated[JobForm, Form()]
) -> Response:
    """Score cases again, or try what that would change."""
    wanted = form.model_dump(exclude={"bundle", "kind"})
    values: dict[str, Any] = {name: value.strip() for name, value in wanted.items()}
    try:
        selection = CaseSelection(**{name: value for name, value in values.items() if value})
    except ValidationError:
        raise InvalidRequest("a filter of the cases cannot be used") from None
    body = RescoreBody(bundle=form.bundle, filter=selection, is_dry_run=form.kind == "try")
    job = operator.rescore(body, caller.id)
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
    """Show a job with the cases whose verdict changes, and those that could not be scored."""
    pages.note_page(caller, "job")
    line = build_job(operator.show(job_id), caller, pages.bundles, pages.clock.now())
    flips = operator.list_notes(FlipRow, job_id, read_cursor(cursor), MAX_NOTES + 1)
    failures = operator.list_notes(FailureRow, job_id, None, MAX_NOTES + 1)
    return pages.show(
        request,
        caller,
        "job.html.j2",
        "Job",
        line=line,
        flips=FlipList.build(flips, MAX_NOTES),
        failures=FailureList.build(failures, MAX_NOTES),
    )


@router.get("/{job_id}/progress")
def show_progress(
    caller: CanReadJobs, job_id: UUID, pages: ThePages, operator: TheOperator
) -> HTMLResponse:
    """Show how far a job is; the whole page once more when it has ended."""
    line: JobLine = build_job(operator.show(job_id), caller, pages.bundles, pages.clock.now())
    answer = pages.show_part("job_progress.html.j2", line=line)
    if line.is_ended:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.post("/{job_id}/cancel")
def cancel_job(caller: CanRunJobs, job_id: UUID, operator: TheOperator) -> Response:
    """End a job early."""
    operator.cancel(job_id, caller.id)
    return Response(status_code=204, headers={"HX-Refresh": "true"})


def _list_bundles(pages: Pages) -> list[tuple[str, str]]:
    with pages.storage.database.reading() as session:
        rows = [(row.digest, row.state) for row in BundleRepository(session).list_all()]
    return [(digest, f"{pages.bundles.name(digest)} ({state})") for digest, state in rows]


def _read_state(word: str) -> JobState | None:
    try:
        return JobState(word) if word else None
    except ValueError:
        raise InvalidRequest("no job is ever in this state") from None
