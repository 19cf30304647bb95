"""Routes of the audit trail, for administrators: looked through, and taken along as a sheet."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from app.audit.repository import PAGE, AuditFilter, AuditRepository
from app.audit.schemas import AuditEntry, AuditList, AuditQuery, AuditSelection
from app.audit.service import Action, Event, record_event
from app.audit.sheets import write_sheet
from app.audit.tables import AuditEntryRow
from app.auth.access import Access, CanReadAudit, get_access
from app.error_handlers import describe_errors
from app.storage.database import Database

TRAIL = "audit:trail"

router = APIRouter(prefix="/api/v1", tags=["audit"])
Gate = Annotated[Access, Depends(get_access)]

_ERRORS: dict[int | str, dict[str, Any]] = describe_errors(401, 403, 422, 429, 503)
_SHEET: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}}, "description": "RFC 4180, the oldest entry first."},
    **_ERRORS,
}


class Sheet(StreamingResponse):
    """A CSV file."""

    media_type = "text/csv; charset=utf-8"


@router.get("/audit", responses=_ERRORS)
def list_entries(
    _caller: CanReadAudit, query: Annotated[AuditQuery, Query()], access: Gate
) -> AuditList:
    """Give a page of the audit trail, the newest entry first."""
    before = None if query.cursor is None else int(query.cursor)
    with access.database.reading() as session:
        repository = AuditRepository(session)
        rows = repository.list_page(query.build_filter(), before, query.limit + 1)
    shown = [AuditEntry.of(row) for row in rows[: query.limit]]
    is_last = len(rows) <= query.limit
    return AuditList(items=shown, next_cursor=None if is_last else str(shown[-1].sequence))


@router.get("/audit.csv", response_class=Sheet, responses=_SHEET)
def export_entries(
    caller: CanReadAudit, query: Annotated[AuditSelection, Query()], access: Gate
) -> Sheet:
    """Give the audit trail as CSV whose cells no program runs; the export is its last entry."""
    asked = query.model_dump(mode="json", exclude_none=True)
    event = Event(caller.id, Action.AUDIT_EXPORTED, TRAIL, asked)
    with access.database.transaction() as session:
        head = record_event(session, event, access.clock.now())
    entries = _stream(access.database, query.build_filter(), head.sequence)
    return Sheet(
        write_sheet(entries),
        headers={"Content-Disposition": f'attachment; filename="audit-{head.sequence}.csv"'},
    )


def _stream(database: Database, wanted: AuditFilter, last: int) -> Iterator[AuditEntryRow]:
    """Give the entries up to a number, some at a time, each time in a short transaction."""
    after = 0
    while True:
        with database.reading() as session:
            rows = AuditRepository(session).list_after(wanted, after, PAGE)
        yield from (row for row in rows if row.sequence <= last)
        if len(rows) < PAGE or rows[-1].sequence >= last:
            return
        after = rows[-1].sequence
