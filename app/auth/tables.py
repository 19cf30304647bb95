"""Tables of who may do what. No secret is stored: only digests of keys, sessions and passwords."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import SHA256, Table


class ApiKeyRow(Table):
    """A key of a tool."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    secret_sha256: Mapped[str] = mapped_column(SHA256)
    scopes: Mapped[list[Any]]
    rate_per_minute: Mapped[int | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class UserRow(Table):
    """A person, known by issuer and subject; the issuer of the local administrator is `local`."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_issuer_subject", "issuer", "subject", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class SessionRow(Table):
    """A browser that a person has logged in with; `search_text` is the worklist's last search."""

    __tablename__ = "sessions"

    token_sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    search_text: Mapped[str] = mapped_column(String(128), default="")


class SetupSecretRow(Table):
    """The one secret that makes the first administrator; a new start before its use renews it."""

    __tablename__ = "setup_secrets"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    secret_sha256: Mapped[str] = mapped_column(SHA256)
    created_at: Mapped[datetime]


class LoginAttemptRow(Table):
    """A login on its way to the identity provider and back."""

    __tablename__ = "login_attempts"

    state_sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64))
    code_verifier: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
