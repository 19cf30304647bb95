"""Commands of access: `aegle keys create|list|revoke`."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from app.auth.permissions import ROLES, Permission, Role
from app.auth.repository import AccessRepository
from app.auth.service import KeyOrder, create_key, revoke_key
from app.clock import SystemClock
from app.settings import read_settings
from app.storage.opening import open_storage

_KEYS = typer.Typer(no_args_is_help=True, help="API keys of tools.")
_BY = "command"


def register(app: typer.Typer) -> None:
    """Add the commands of access."""
    app.add_typer(_KEYS, name="keys")


@_KEYS.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which tool the key is for.")],
    role: Annotated[Role, typer.Option(help="A named set of scopes.")] = Role.SENDER,
    scope: Annotated[
        list[Permission] | None, typer.Option(help="Scopes instead of a role; may repeat.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="The key ends after so many.")] = None,
) -> None:
    """Make an API key and print it, this once.

    Examples:

        aegle keys create "CT scanner 2" --scope scans:send
    """
    now = SystemClock().now()
    scopes = frozenset(scope) if scope else ROLES[role]
    expires_at = None if days is None else now + timedelta(days=days)
    storage = open_storage(read_settings())
    try:
        with storage.database.transaction() as session:
            _, token = create_key(session, KeyOrder(name[:64], scopes, expires_at), _BY, now)
    finally:
        storage.close()
    typer.echo(str(token))


@_KEYS.command("list")
def list_all() -> None:
    """List all API keys; secrets are not known.

    Examples:

        aegle keys list
    """
    now = SystemClock().now()
    storage = open_storage(read_settings())
    try:
        with storage.database.reading() as session:
            for row in AccessRepository(session).list_keys():
                is_expired = row.expires_at is not None and row.expires_at <= now
                state = "revoked" if row.revoked_at else "expired" if is_expired else "valid"
                typer.echo(f"{row.id}  {state:8}{row.name}  {' '.join(row.scopes)}")
    finally:
        storage.close()


@_KEYS.command("revoke")
def revoke(
    key: Annotated[
        UUID, typer.Argument(metavar="KEY", help="Id of the key, from `aegle keys list`.")
    ],
) -> None:
    """End an API key, at once and for good.

    Examples:

        aegle keys revoke 0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a
    """
    storage = open_storage(read_settings())
    try:
        with storage.database.transaction() as session:
            row = revoke_key(session, key, _BY, SystemClock().now())
    finally:
        storage.close()
    typer.echo(f"revoked {row.id}")
