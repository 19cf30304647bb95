"""Commands of the storage: `aegle migrate`, `aegle store verify`, `aegle store collect`."""

from datetime import timedelta

import typer

from app.clock import SystemClock
from app.settings import read_settings
from app.storage.opening import open_settings_database, open_storage
from app.storage.schema import migrate_database
from app.storage.service import collect_blobs, verify_blobs

_STORE = typer.Typer(no_args_is_help=True, help="Look after the stored bytes.")


def register(app: typer.Typer) -> None:
    """Add the commands of the storage."""
    app.command("migrate")(migrate)
    app.add_typer(_STORE, name="store")


def migrate() -> None:
    """Bring the database to the schema of this release; refused when it is newer.

    Examples:

        aegle migrate
    """
    settings = read_settings()
    settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_settings_database(settings)
    try:
        migration = migrate_database(database)
    finally:
        database.close()
    if migration.before == migration.after:
        typer.echo(f"nothing to do: the database is at {migration.after}")
    else:
        typer.echo(f"migrated from {migration.before or 'empty'} to {migration.after}")


@_STORE.command("verify")
def verify() -> None:
    """Read every stored blob and compare it with its digest.

    Examples:

        aegle store verify
    """
    storage = open_storage(read_settings())
    checked = faulty = 0
    try:
        for fault in verify_blobs(storage.database, storage.blobs):
            checked += 1
            if fault is not None:
                faulty += 1
                typer.echo(f"{fault.fault}: {fault.sha256}")
    finally:
        storage.close()
    typer.echo(f"{checked} blobs checked, {faulty} faulty")
    if faulty:
        raise typer.Exit(1)


@_STORE.command("collect")
def collect() -> None:
    """Remove blobs that nothing refers to.

    Examples:

        aegle store collect
    """
    settings = read_settings()
    storage = open_storage(settings)
    before = SystemClock().now() - timedelta(seconds=settings.collect_grace_s)
    try:
        done = collect_blobs(storage.database, storage.blobs, before)
    finally:
        storage.close()
    typer.echo(f"{done.blob_count} blobs removed, {done.freed_bytes} bytes freed")
