"""The route of the audit page: who did what, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.audit.repository import AuditFilter, AuditRepository
from app.audit.service import Action
from app.auth.access import CanReadAudit
from app.auth.permissions import name_key, name_user
from app.auth.repository import AccessRepository
from app.web.pages import ThePages

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 100
MAX_NAMES = 1000


@router.get("/audit")
def show_audit(
    caller: CanReadAudit,
    request: Request,
    pages: ThePages,
    action: Annotated[str, Query(max_length=32)] = "",
    actor: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> HTMLResponse:
    """Show a page of the trail."""
    pages.note_page(caller, "audit")
    wanted = AuditFilter(action=action or None, actor=actor or None)
    with pages.storage.database.reading() as session:
        rows = AuditRepository(session).list_page(wanted, before, PAGE_SIZE + 1)
        names = _name_actors(session)
    return pages.show(
        request,
        caller,
        "audit.html.j2",
        "Audit trail",
        rows=rows[:PAGE_SIZE],
        next_before=rows[PAGE_SIZE - 1].sequence if len(rows) > PAGE_SIZE else None,
        actions=[("", "Any"), *((item.value, item.value.replace("_", " ")) for item in Action)],
        action=action,
        actor=actor,
        names=names,
    )


def _name_actors(session: Session) -> dict[str, str]:
    """Give the names behind the ids of users and keys."""
    repository = AccessRepository(session)
    users = {name_user(row.id): row.name for row in repository.list_users(None, MAX_NAMES)}
    return users | {name_key(row.id): row.name for row in repository.list_keys()}
