"""Queries of keys, users, sessions and logins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from app.auth.permissions import Role
from app.auth.tables import ApiKeyRow, LoginAttemptRow, SessionRow, SetupSecretRow, UserRow
from app.errors import KeyNotFound, UserNotFound

LOCAL = "local"


class AccessRepository:
    """Keys, users and sessions inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, row: ApiKeyRow | UserRow | SessionRow | LoginAttemptRow) -> None:
        """Insert a row."""
        self.session.add(row)
        self.session.flush()

    def find_key(self, identifier: UUID) -> ApiKeyRow | None:
        """Find an API key, revoked or not."""
        return self.session.get(ApiKeyRow, identifier)

    def get_key(self, identifier: UUID) -> ApiKeyRow:
        """Give an API key, revoked or not."""
        row = self.find_key(identifier)
        if row is None:
            raise KeyNotFound
        return row

    def list_keys(self) -> Sequence[ApiKeyRow]:
        """List all API keys, newest first."""
        return self.session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id.desc())).all()

    def touch_keys(self, used: Mapping[UUID, datetime]) -> None:
        """Note when keys were last used."""
        for identifier, at in used.items():
            is_earlier = or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < at)
            statement = update(ApiKeyRow).where(ApiKeyRow.id == identifier, is_earlier)
            self.session.execute(statement.values(last_used_at=at))

    def list_users(self, before: UUID | None, limit: int) -> Sequence[UserRow]:
        """List users, the newest first, those older than the one with the id `before`."""
        query = select(UserRow).order_by(UserRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(UserRow.id < before)
        return self.session.scalars(query).all()

    def lock_user(self, identifier: UUID) -> UserRow:
        """Give a user that nobody else changes until the commit.

        Raises:
            UserNotFound: there is none.
        """
        query = select(UserRow).where(UserRow.id == identifier).with_for_update()
        row = self.session.scalar(query, execution_options={"populate_existing": True})
        if row is None:
            raise UserNotFound
        return row

    def lock_administrators(self) -> Sequence[UserRow]:
        """Give those administrators who may log in, locked in the order of ids."""
        query = select(UserRow).where(UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None))
        return self.session.scalars(query.order_by(UserRow.id).with_for_update()).all()

    def find_user(self, issuer: str, subject: str) -> UserRow | None:
        """Find a user by what the issuer calls them."""
        query = select(UserRow).where(UserRow.issuer == issuer, UserRow.subject == subject)
        return self.session.scalar(query)

    def has_local_admin(self) -> bool:
        """Tell whether the setup was done."""
        query = select(UserRow.id).where(UserRow.issuer == LOCAL).limit(1)
        return self.session.scalar(query) is not None

    def find_session(self, token_sha256: str) -> tuple[SessionRow, UserRow] | None:
        """Find a session and its user."""
        query = (
            select(SessionRow, UserRow)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(SessionRow.token_sha256 == token_sha256)
        )
        row = self.session.execute(query).one_or_none()
        return None if row is None else (row[0], row[1])

    def touch_session(self, token_sha256: str, at: datetime) -> None:
        """Note that a session is in use."""
        statement = update(SessionRow).where(SessionRow.token_sha256 == token_sha256)
        self.session.execute(statement.values(last_seen_at=at))

    def keep_search(self, token_sha256: str, text: str) -> None:
        """Note what a session searched for."""
        statement = update(SessionRow).where(SessionRow.token_sha256 == token_sha256)
        self.session.execute(statement.values(search_text=text))

    def find_search(self, token_sha256: str) -> str:
        """Give what a session searched for last; empty for nothing."""
        query = select(SessionRow.search_text).where(SessionRow.token_sha256 == token_sha256)
        return self.session.scalar(query) or ""

    def end_session(self, token_sha256: str) -> None:
        """Forget a session."""
        self.session.execute(delete(SessionRow).where(SessionRow.token_sha256 == token_sha256))

    def end_sessions_of(self, user_id: UUID, but: str | None = None) -> None:
        """Forget all sessions of a user, but the one of a token's digest if one is given."""
        statement = delete(SessionRow).where(SessionRow.user_id == user_id)
        if but is not None:
            statement = statement.where(SessionRow.token_sha256 != but)
        self.session.execute(statement)

    def end_old_sessions(self, created_before: datetime) -> None:
        """Forget sessions that are over."""
        self.session.execute(delete(SessionRow).where(SessionRow.created_at < created_before))

    def replace_setup_secret(self, sha256: str, at: datetime) -> None:
        """Keep a new setup secret in place of the old one."""
        self.session.execute(delete(SetupSecretRow))
        self.session.add(SetupSecretRow(id=1, secret_sha256=sha256, created_at=at))
        self.session.flush()

    def find_setup_secret(self) -> str | None:
        """Give the digest of the setup secret; None once it was used. Locks it."""
        return self.session.scalar(select(SetupSecretRow.secret_sha256).with_for_update())

    def spend_setup_secret(self) -> None:
        """Forget the setup secret."""
        self.session.execute(delete(SetupSecretRow))

    def take_login_attempt(self, state_sha256: str) -> LoginAttemptRow | None:
        """Give a login on its way and forget it: an answer counts once."""
        query = select(LoginAttemptRow).where(LoginAttemptRow.state_sha256 == state_sha256)
        row = self.session.scalar(query.with_for_update())
        if row is not None:
            self.session.delete(row)
            self.session.flush()
        return row

    def end_old_attempts(self, before: datetime) -> None:
        """Forget logins that never came back."""
        self.session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.created_at < before))
