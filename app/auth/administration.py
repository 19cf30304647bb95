"""Routes of administration, under /api/v1: API keys and users."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.auth.access import Access, CanManageAccess, get_access
from app.auth.repository import AccessRepository
from app.auth.schemas import ApiKey, KeyList, NewKey, NewRole, ShownKey, User, UserList
from app.auth.service import KeyOrder, create_key, revoke_key
from app.auth.users import change_role, disable_user, enable_user
from app.error_handlers import describe_errors

MAX_PAGE = 200

router = APIRouter(prefix="/api/v1", tags=["access"])
Gate = Annotated[Access, Depends(get_access)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]

_LIST_ERRORS = describe_errors(401, 403, 422, 429, 503)
_ERRORS = describe_errors(401, 403, 404, 422, 429, 503)
_MOVE_ERRORS = describe_errors(401, 403, 404, 409, 422, 429, 503)


@router.get("/keys", responses=describe_errors(401, 403, 429, 503))
def list_keys(_caller: CanManageAccess, access: Gate) -> KeyList:
    """List all API keys."""
    with access.database.reading() as session:
        return KeyList(items=[ApiKey.of(row) for row in AccessRepository(session).list_keys()])


@router.post("/keys", status_code=201, responses=_LIST_ERRORS)
def make_key(caller: CanManageAccess, order: NewKey, access: Gate) -> ShownKey:
    """Make an API key; its token is shown in this answer and never again."""
    wanted = KeyOrder(order.name, order.scopes, order.expires_at, order.rate_per_minute)
    with access.database.transaction() as session:
        row, token = create_key(session, wanted, caller.id, access.clock.now())
        return ShownKey(**ApiKey.of(row).model_dump(), token=str(token))


@router.delete("/keys/{key_id}", responses=_ERRORS)
def end_key(caller: CanManageAccess, key_id: UUID, access: Gate) -> ApiKey:
    """Revoke an API key, at once and for good."""
    with access.database.transaction() as session:
        return ApiKey.of(revoke_key(session, key_id, caller.id, access.clock.now()))


@router.get("/users", responses=_LIST_ERRORS)
def list_users(
    _caller: CanManageAccess, access: Gate, limit: Limit = 50, cursor: UUID | None = None
) -> UserList:
    """List the people who have logged in here, the newest first."""
    with access.database.reading() as session:
        rows = AccessRepository(session).list_users(cursor, limit + 1)
    shown = [User.of(row) for row in rows[:limit]]
    return UserList(items=shown, next_cursor=shown[-1].id if len(rows) > limit else None)


@router.post("/users/{user_id}/disable", responses=_MOVE_ERRORS)
def bar_user(caller: CanManageAccess, user_id: UUID, access: Gate) -> User:
    """Let a user log in no more, and end all sessions of theirs."""
    with access.database.transaction() as session:
        return User.of(disable_user(session, user_id, caller.id, access.clock.now()))


@router.post("/users/{user_id}/enable", responses=_ERRORS)
def admit_user(caller: CanManageAccess, user_id: UUID, access: Gate) -> User:
    """Let a disabled user log in again."""
    with access.database.transaction() as session:
        return User.of(enable_user(session, user_id, caller.id, access.clock.now()))


@router.put("/users/{user_id}/role", responses=_MOVE_ERRORS)
def give_role(caller: CanManageAccess, user_id: UUID, order: NewRole, access: Gate) -> User:
    """Give a local user another role; the role of others comes from their identity provider."""
    with access.database.transaction() as session:
        return User.of(change_role(session, user_id, order.role, caller.id, access.clock.now()))
