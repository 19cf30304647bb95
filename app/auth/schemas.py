"""What the access routes take and give."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from app.auth.permissions import Permission, Principal, Role
from app.auth.repository import LOCAL
from app.auth.tables import ApiKeyRow, UserRow

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w .@:-]+$")]


class Payload(BaseModel):
    """Something a caller sends; keys it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


class SetupOrder(Payload):
    """The first administrator."""

    setup_secret: SecretStr = Field(max_length=128, description="Printed at the first start.")
    name: Name = Field(examples=["admin"])
    password: SecretStr = Field(
        max_length=1024,
        description="15 to 256 characters; more than one or two common words.",
        examples=["some words of your own"],
    )


class LoginOrder(Payload):
    """A local login."""

    name: Name = Field(examples=["admin"])
    password: SecretStr = Field(max_length=1024)


class PasswordOrder(Payload):
    """A new password for the caller."""

    current_password: SecretStr = Field(max_length=1024, examples=["some words of before"])
    new_password: SecretStr = Field(
        max_length=1024,
        description="15 to 256 characters; more than one or two common words.",
        examples=["four other words instead"],
    )


class Caller(BaseModel):
    """Who is calling."""

    id: str = Field(examples=["user:0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"])
    name: str
    permissions: list[Permission]
    csrf_token: str | None = Field(
        default=None, description="To send as X-CSRF-Token; none for API keys."
    )

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """Show a principal."""
        return cls(
            id=principal.id,
            name=principal.name,
            permissions=sorted(principal.permissions),
            csrf_token=principal.csrf_token,
        )


class NewKey(Payload):
    """An API key to be made."""

    name: Name = Field(examples=["CT scanner 2"])
    scopes: frozenset[Permission] = Field(min_length=1, examples=[["scans:send"]])
    expires_at: AwareDatetime | None = None
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)


class ApiKey(BaseModel):
    """An API key, without its secret."""

    id: UUID
    name: str
    scopes: list[str]
    rate_per_minute: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null while it was not.")

    @classmethod
    def of(cls, row: ApiKeyRow) -> Self:
        """Show a row."""
        return cls.model_validate(row, from_attributes=True)


class ShownKey(ApiKey):
    """A new API key with its secret, shown this once."""

    token: str = Field(examples=["aegle_0190e4a07b1c7d558a513f0a1d2c3b4a_..."])


class KeyList(BaseModel):
    """All API keys, newest first."""

    items: list[ApiKey]


class NewRole(Payload):
    """Another role for a local user."""

    role: Role = Field(examples=["reader"])


class User(BaseModel):
    """A person who has logged in here."""

    id: UUID = Field(examples=["0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"])
    name: str = Field(examples=["Dr. Reader"])
    issuer: str = Field(
        description="The identity provider; `local` for local users.", examples=[LOCAL]
    )
    role: Role = Field(examples=["reader"])
    created_at: datetime
    last_login_at: datetime | None
    disabled_at: datetime | None = Field(description="Since when the user may not log in.")

    @classmethod
    def of(cls, row: UserRow) -> Self:
        """Show a row."""
        return cls.model_validate(row, from_attributes=True)


class UserList(BaseModel):
    """A page of users, the newest first."""

    items: list[User]
    next_cursor: UUID | None = Field(
        description="To ask for the next page by; null on the last.", examples=[None]
    )
