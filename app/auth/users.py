"""Users, looked after by administrators: disabled, enabled, given another role; each audited."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Event, record_event
from app.auth.permissions import Role, name_user
from app.auth.repository import LOCAL, AccessRepository
from app.auth.tables import UserRow
from app.errors import MoveNotAllowed


def disable_user(session: Session, identifier: UUID, by: str, at: datetime) -> UserRow:
    """Let a user log in no more and end all sessions; one that is disabled stays so.

    Raises:
        UserNotFound: there is none.
        MoveNotAllowed: it is the caller, or the last administrator.
    """
    repository = AccessRepository(session)
    user = _lock_other(repository, identifier, by)
    if user.disabled_at is None:
        _keep_an_administrator(repository, user)
        user.disabled_at = at
        session.flush()
        repository.end_sessions_of(user.id)
        record_event(session, Event(by, Action.USER_DISABLED, name_user(user.id), {}), at)
    return user


def enable_user(session: Session, identifier: UUID, by: str, at: datetime) -> UserRow:
    """Let a disabled user log in again.

    Raises:
        UserNotFound: there is none.
    """
    user = AccessRepository(session).lock_user(identifier)
    if user.disabled_at is not None:
        user.disabled_at = None
        session.flush()
        record_event(session, Event(by, Action.USER_ENABLED, name_user(user.id), {}), at)
    return user


def change_role(session: Session, identifier: UUID, role: Role, by: str, at: datetime) -> UserRow:
    """Give a local user another role; it holds from the next request on.

    Raises:
        UserNotFound: there is none.
        MoveNotAllowed: an identity provider gives the role, or it is the caller, or the last
            administrator.
    """
    repository = AccessRepository(session)
    user = _lock_other(repository, identifier, by)
    if user.issuer != LOCAL:
        raise MoveNotAllowed("the identity provider gives this user's role, at each login")
    if user.role != role:
        _keep_an_administrator(repository, user)
        detail = {"before": user.role, "role": role.value}
        user.role = role.value
        session.flush()
        subject = name_user(user.id)
        record_event(session, Event(by, Action.USER_ROLE_CHANGED, subject, detail), at)
    return user


def _lock_other(repository: AccessRepository, identifier: UUID, by: str) -> UserRow:
    # Administrators first and in one order: two of them must not wait for each other.
    repository.lock_administrators()
    user = repository.lock_user(identifier)
    if name_user(user.id) == by:
        raise MoveNotAllowed("nobody changes their own access")
    return user


def _keep_an_administrator(repository: AccessRepository, user: UserRow) -> None:
    if [row.id for row in repository.lock_administrators()] == [user.id]:
        raise MoveNotAllowed("the last administrator stays")
