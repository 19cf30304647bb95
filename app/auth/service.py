"""Keys, sessions and logins: made, checked and ended; each change with its audit entry."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Event, record_event
from app.auth.passwords import Passwords
from app.auth.permissions import ROLES, Permission, Principal, Role, name_key, name_user
from app.auth.repository import LOCAL, AccessRepository
from app.auth.tables import ApiKeyRow, SessionRow, UserRow
from app.auth.tokens import (
    KeyToken,
    derive_csrf_token,
    digest_token,
    draw_key,
    draw_token,
    is_same_digest,
)
from app.errors import InvalidCredentials, NotAuthenticated, PasswordElsewhere, SetupClosed
from app.storage.identifiers import draw_id

TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """What a new API key shall be."""

    name: str
    scopes: frozenset[Permission]
    expires_at: datetime | None = None
    rate_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class SessionLife:
    """How long a session lasts."""

    idle: timedelta
    whole: timedelta


def create_key(
    session: Session, order: KeyOrder, by: str, at: datetime
) -> tuple[ApiKeyRow, KeyToken]:
    """Make an API key; its secret is in the second value and nowhere else."""
    token = draw_key(draw_id(at))
    row = ApiKeyRow(
        id=token.id,
        name=order.name,
        secret_sha256=digest_token(token.secret),
        scopes=sorted(order.scopes),
        rate_per_minute=order.rate_per_minute,
        created_at=at,
        created_by=by,
        expires_at=order.expires_at,
    )
    AccessRepository(session).add(row)
    detail = {"scopes": " ".join(row.scopes)}
    record_event(session, Event(by, Action.KEY_CREATED, name_key(row.id), detail), at)
    return row, token


def revoke_key(session: Session, identifier: UUID, by: str, at: datetime) -> ApiKeyRow:
    """End an API key; one that has ended stays so.

    Raises:
        KeyNotFound: there is none.
    """
    row = AccessRepository(session).get_key(identifier)
    if row.revoked_at is None:
        row.revoked_at = at
        session.flush()
        record_event(session, Event(by, Action.KEY_REVOKED, name_key(row.id), {}), at)
    return row


def identify_key(session: Session, token: KeyToken, at: datetime) -> Principal:
    """Tell who presents an API key.

    Raises:
        NotAuthenticated: the key is unknown, wrong, revoked or expired; the answer says no more.
    """
    row = AccessRepository(session).find_key(token.id)
    if row is None or not is_same_digest(token.secret, row.secret_sha256):
        raise NotAuthenticated
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
        raise NotAuthenticated
    scopes = frozenset(Permission(scope) for scope in row.scopes)
    return Principal(name_key(row.id), row.name, scopes, row.rate_per_minute)


def identify_session(session: Session, token: str, life: SessionLife, at: datetime) -> Principal:
    """Tell whose browser presents a session token.

    Raises:
        NotAuthenticated: the session is unknown or over, or its user disabled.
    """
    found = AccessRepository(session).find_session(digest_token(token))
    if found is None:
        raise NotAuthenticated
    row, user = found
    is_over = row.last_seen_at + life.idle <= at or row.created_at + life.whole <= at
    if is_over or user.disabled_at is not None:
        raise NotAuthenticated
    permissions = ROLES[Role(user.role)]
    return Principal(
        name_user(user.id), user.name, permissions, csrf_token=derive_csrf_token(token)
    )


def needs_touch(session: Session, token: str, at: datetime) -> bool:
    """Tell whether the use of a session should be noted again."""
    found = AccessRepository(session).find_session(digest_token(token))
    return found is not None and found[0].last_seen_at + TOUCH_EVERY <= at


def prepare_setup(session: Session, at: datetime) -> str | None:
    """Draw the setup secret of a service that has no local administrator; None when it has one."""
    repository = AccessRepository(session)
    if repository.has_local_admin():
        return None
    secret = draw_token()
    repository.replace_setup_secret(digest_token(secret), at)
    return secret


def set_up_admin(
    session: Session, secret: str, name: str, password_hash: str, at: datetime
) -> UserRow:
    """Make the first administrator; the setup secret is spent.

    Raises:
        SetupClosed: there is an administrator already.
        InvalidCredentials: the secret is wrong.
    """
    repository = AccessRepository(session)
    stored = repository.find_setup_secret()
    if stored is None or repository.has_local_admin():
        raise SetupClosed
    if not is_same_digest(secret, stored):
        raise InvalidCredentials
    user = UserRow(
        id=draw_id(at),
        issuer=LOCAL,
        subject=name,
        name=name,
        role=Role.ADMIN.value,
        password_hash=password_hash,
        created_at=at,
    )
    repository.add(user)
    repository.spend_setup_secret()
    record_event(session, Event(name_user(user.id), Action.SETUP_DONE, name_user(user.id), {}), at)
    return user


def check_password(session: Session, passwords: Passwords, name: str, password: str) -> UserRow:
    """Give the local user with this name and password.

    Raises:
        InvalidCredentials: name or password is wrong, or the user disabled; the answer is the same.
    """
    user = AccessRepository(session).find_user(LOCAL, name)
    is_right = passwords.verify(user.password_hash if user else None, password)
    if user is None or not is_right or user.disabled_at is not None:
        raise InvalidCredentials
    return user


def check_own_password(
    session: Session, passwords: Passwords, token: str, password: str
) -> UserRow:
    """Give the local user of a session, who knows the password.

    Raises:
        NotAuthenticated: the session is over.
        PasswordElsewhere: an identity provider keeps the password.
        InvalidCredentials: the password is wrong.
    """
    found = AccessRepository(session).find_session(digest_token(token))
    if found is None:
        raise NotAuthenticated
    user = found[1]
    if user.issuer != LOCAL:
        raise PasswordElsewhere
    if not passwords.verify(user.password_hash, password):
        raise InvalidCredentials
    return user


def has_own_password(session: Session, token: str) -> bool:
    """Tell whether this service keeps the password of a session's user."""
    found = AccessRepository(session).find_session(digest_token(token))
    return found is not None and found[1].issuer == LOCAL


def hold_user(session: Session, checked: UserRow) -> UserRow:
    """Lock a user whose password was checked before this transaction.

    Raises:
        InvalidCredentials: the password was changed since, or the user disabled.
    """
    user = AccessRepository(session).lock_user(checked.id)
    if user.password_hash != checked.password_hash or user.disabled_at is not None:
        raise InvalidCredentials
    return user


def change_password(
    session: Session, checked: UserRow, password_hash: str, token: str, at: datetime
) -> None:
    """Give a user another password and end all sessions of theirs but the one of the token.

    Raises:
        InvalidCredentials: the password was changed since it was checked, or the user disabled.
    """
    user = hold_user(session, checked)
    user.password_hash = password_hash
    session.flush()
    AccessRepository(session).end_sessions_of(user.id, but=digest_token(token))
    actor = name_user(user.id)
    record_event(session, Event(actor, Action.PASSWORD_CHANGED, actor, {}), at)


def keep_oidc_user(
    session: Session, identity: tuple[str, str, str], role: Role, at: datetime
) -> UserRow:
    """Insert or renew the user that an identity provider vouches for: issuer, subject, name."""
    issuer, subject, name = identity
    repository = AccessRepository(session)
    user = repository.find_user(issuer, subject)
    if user is None:
        user = UserRow(
            id=draw_id(at), issuer=issuer, subject=subject, name=name, role=role, created_at=at
        )
        repository.add(user)
    user.name, user.role = name, role.value
    if user.disabled_at is not None:
        raise InvalidCredentials
    return user


def open_session(
    session: Session, user: UserRow, old_token: str | None, life: SessionLife, at: datetime
) -> str:
    """Log a user in and give the new token; a token brought along is ended, never reused."""
    repository = AccessRepository(session)
    if old_token is not None:
        repository.end_session(digest_token(old_token))
    repository.end_old_sessions(at - life.whole)
    token = draw_token()
    user.last_login_at = at
    repository.add(
        SessionRow(
            token_sha256=digest_token(token), user_id=user.id, created_at=at, last_seen_at=at
        )
    )
    actor = name_user(user.id)
    record_event(session, Event(actor, Action.LOGIN_DONE, actor, {"issuer": user.issuer}), at)
    return token


def close_session(session: Session, token: str, by: str, at: datetime) -> None:
    """Log out."""
    AccessRepository(session).end_session(digest_token(token))
    record_event(session, Event(by, Action.LOGOUT_DONE, by, {}), at)
