"""Routes of the access page: API keys of tools, and the people who sign in."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse

from app.auth.access import Access, CanManageAccess, get_access
from app.auth.permissions import ROLES, Principal, Role
from app.auth.repository import LOCAL, AccessRepository
from app.auth.schemas import NewKey
from app.auth.service import KeyOrder, create_key, revoke_key
from app.auth.users import change_role, disable_user, enable_user
from app.web.pages import Pages, ThePages

router = APIRouter(prefix="/access", include_in_schema=False)

MAX_USERS = 200

Gate = Annotated[Access, Depends(get_access)]
Name = Annotated[str, Form(max_length=64, pattern=r"^[\w .@:-]+$")]


@router.get("")
def show_access(
    caller: CanManageAccess, request: Request, pages: ThePages, access: Gate
) -> HTMLResponse:
    """Show keys and users."""
    pages.note_page(caller, "access")
    return _show(pages, request, caller, access, token="")


@router.post("/keys")
def make_key(
    caller: CanManageAccess,
    access: Gate,
    pages: ThePages,
    name: Name,
    role: Annotated[Role, Form()],
    days: Annotated[int | None, Form(ge=1, le=3650)] = None,
) -> HTMLResponse:
    """Make a key; its token is shown in this answer and never again."""
    now = access.clock.now()
    expires_at = None if days is None else now + timedelta(days=days)
    checked = NewKey(name=name, scopes=ROLES[role], expires_at=expires_at)
    order = KeyOrder(checked.name, checked.scopes, checked.expires_at)
    with access.database.transaction() as session:
        _, token = create_key(session, order, caller.id, now)
    return pages.show_part("key_token.html.j2", token=str(token), name=name)


@router.post("/keys/{key_id}/revoke")
def end_key(caller: CanManageAccess, key_id: UUID, access: Gate) -> Response:
    """Revoke a key."""
    with access.database.transaction() as session:
        revoke_key(session, key_id, caller.id, access.clock.now())
    return _renew()


@router.post("/users/{user_id}/disable")
def bar_user(caller: CanManageAccess, user_id: UUID, access: Gate) -> Response:
    """Let a user sign in no more."""
    with access.database.transaction() as session:
        disable_user(session, user_id, caller.id, access.clock.now())
    return _renew()


@router.post("/users/{user_id}/enable")
def admit_user(caller: CanManageAccess, user_id: UUID, access: Gate) -> Response:
    """Let a disabled user sign in again."""
    with access.database.transaction() as session:
        enable_user(session, user_id, caller.id, access.clock.now())
    return _renew()


@router.post("/users/{user_id}/role")
def give_role(
    caller: CanManageAccess, user_id: UUID, access: Gate, role: Annotated[Role, Form()]
) -> Response:
    """Give a local user another role."""
    with access.database.transaction() as session:
        change_role(session, user_id, role, caller.id, access.clock.now())
    return _renew()


def _show(
    pages: Pages, request: Request, caller: Principal, access: Access, *, token: str
) -> HTMLResponse:
    with access.database.reading() as session:
        repository = AccessRepository(session)
        keys, users = repository.list_keys(), repository.list_users(None, MAX_USERS)
    return pages.show(
        request,
        caller,
        "access.html.j2",
        "Access",
        keys=keys,
        users=users,
        token=token,
        roles=[role.value for role in Role],
        local=LOCAL,
        caller_id=caller.id,
        settings=request.app.state.settings_lines,
    )


def _renew() -> Response:
    return Response(status_code=204, headers={"HX-Refresh": "true"})
