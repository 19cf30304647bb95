"""Commands of the audit trail: `aegle audit verify`."""

from typing import Annotated

import typer

from app.audit.service import ChainHead, verify_chain
from app.errors import SettingsError
from app.settings import read_settings
from app.storage.opening import open_storage

_AUDIT = typer.Typer(no_args_is_help=True, help="Look after the audit trail.")


def register(app: typer.Typer) -> None:
    """Add the commands of the audit trail."""
    app.add_typer(_AUDIT, name="audit")


@_AUDIT.callback()
def audit() -> None:
    """Look after the audit trail."""


@_AUDIT.command("verify")
def verify(
    noted: Annotated[
        str | None,
        typer.Option(help="A head noted earlier, NUMBER:DIGEST, that the trail must still hold."),
    ] = None,
) -> None:
    """Check that no entry was changed, removed or inserted, and print the head to note.

    Examples:

        aegle audit verify
    """
    storage = open_storage(read_settings())
    try:
        with storage.database.reading() as session:
            head = verify_chain(session, None if noted is None else _read_head(noted))
    finally:
        storage.close()
    typer.echo(f"{head.sequence} entries, unbroken; head {head.sequence}:{head.sha256}")


def _read_head(text: str) -> ChainHead:
    number, _, digest = text.partition(":")
    if not number.isdigit() or not digest:
        raise SettingsError("a head is written NUMBER:DIGEST, as `aegle audit verify` prints it")
    return ChainHead(int(number), digest)
