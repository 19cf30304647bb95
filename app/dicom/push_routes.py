"""Routes of what went out of a case: DICOM results made, and where each object was sent."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from app.audit.service import Action, Detail, Event, record_event
from app.auth.access import CanExportCases, CanReadCases
from app.cases.repository import CaseRepository
from app.clock import Clock
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.error_handlers import describe_errors
from app.storage.database import Database

router = APIRouter(prefix="/api/v1/cases/{case_id}/dicom", tags=["cases"])

_ERRORS = describe_errors(401, 403, 404, 422, 429, 500, 503)


class ReportView(BaseModel):
    """What became of telling a finding as DICOM objects."""

    finding_id: UUID
    state: JobState
    object_count: int
    attempt_count: int
    failure_code: str | None = Field(description="Why the last try failed.")
    due_at: datetime | None = Field(description="When it is tried next.")
    settled_at: datetime | None


class PushView(BaseModel):
    """One object on its way to one target."""

    id: UUID
    sop_uid: str
    sop_class_uid: str
    target: str
    state: JobState
    attempt_count: int
    failure_code: str | None = Field(description="Why the last try failed.")
    due_at: datetime | None = Field(description="When it is tried next.")
    settled_at: datetime | None


class OutgoingView(BaseModel):
    """All that went out of a case, or is about to."""

    reports: list[ReportView]
    pushes: list[PushView]


def get_database(request: Request) -> Database:
    """Give the database of the application that answers."""
    database: Database = request.app.state.storage.database
    return database


def get_clock(request: Request) -> Clock:
    """Give the clock of the application that answers."""
    clock: Clock = request.app.clock
    return clock


TheDatabase = Annotated[Database, Depends(get_database)]


@router.get("", responses=_ERRORS)
def show_outgoing(_caller: CanReadCases, case_id: UUID, database: TheDatabase) -> OutgoingView:
    """Tell which DICOM objects were made of a case, and where each was sent."""
    with database.reading() as session:
        CaseRepository(session).get_case(case_id)
        repository = JobRepository(session)
        reports = [
            ReportView.model_validate(row, from_attributes=True)
            for row in repository.list_reports(case_id)
        ]
        pushes = [
            PushView.model_validate(
                {
                    **{name: getattr(push, name) for name in _PUSH_FIELDS},
                    "sop_uid": instance.sop_uid,
                    "sop_class_uid": instance.sop_class_uid,
                }
            )
            for push, instance in repository.list_pushes(case_id)
        ]
    return OutgoingView(reports=reports, pushes=pushes)


_PUSH_FIELDS = tuple(name for name in PushView.model_fields if not name.startswith("sop_"))


@router.post("/retry", responses=_ERRORS)
def retry_pushes(
    caller: CanExportCases,
    case_id: UUID,
    database: TheDatabase,
    clock: Annotated[Clock, Depends(get_clock)],
) -> OutgoingView:
    """Send again what failed as often as may be."""
    at = clock.now()
    with database.transaction() as session:
        CaseRepository(session).get_case(case_id)
        count = JobRepository(session).retry_pushes(case_id, at)
        detail: Detail = {"what": "push", "objects": count}
        event = Event(caller.id, Action.CASE_EXPORTED, f"case:{case_id}", detail)
        record_event(session, event, at)
    return show_outgoing(caller, case_id, database)
