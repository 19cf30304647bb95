"""Commands of the storage: `aegle migrate`, `aegle backup`, `aegle store verify|collect`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from app.clock import SystemClock
from app.errors import SettingsError
from app.settings import read_settings
from app.storage.backups import back_up, keep_database
from app.storage.opening import open_settings_database, open_storage
from app.storage.schema import migrate_database, plan_migration
from app.storage.service import collect_blobs, verify_blobs

_STORE = typer.Typer(no_args_is_help=True, help="Look after the stored bytes.")


def register(app: typer.Typer) -> None:
    """Add the commands of the storage."""
    app.command("migrate")(migrate)
    app.command("backup")(backup)
    app.add_typer(_STORE, name="store")


def migrate() -> None:
    """Bring the database to the schema of this release; refused when it is newer.

    Stop the service before. A SQLite database is copied to `backups` in the data folder first;
    back up PostgreSQL yourself.

    Examples:

        aegle migrate
    """
    settings = read_settings()
    settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_settings_database(settings)
    try:
        plan = plan_migration(database)
        if plan.before == plan.after:
            typer.echo(f"nothing to do: the database is at {plan.after}")
            return
        if plan.before is not None and database.is_sqlite:
            folder = settings.data_folder / "backups"
            place = keep_database(database, folder, plan.before, SystemClock().now())
            typer.echo(f"copied the database to {place}")
            typer.echo(
                "to go back: stop the service, install the release before, copy that file over "
                f"{database.engine.url.database} and delete the files ending in -wal and -shm"
            )
        migration = migrate_database(database)
    finally:
        database.close()
    typer.echo(f"migrated from {migration.before or 'empty'} to {migration.after}")


def backup(
    folder: Annotated[
        Path, typer.Argument(help="Empty, or an earlier backup to bring up to date.")
    ],
) -> None:
    """Copy database, blobs and bundles to a folder, while the service runs or not.

    The folder has the form of a data folder: to go back, put it in its place. For the embedded
    storage alone: PostgreSQL and S3 stores have tools of their own.

    Examples:

        aegle backup /backups/aegle
    """
    settings = read_settings()
    storage = open_storage(settings)
    try:
        if not storage.database.is_sqlite or settings.blob_url is not None:
            raise SettingsError(
                "only SQLite with blobs in a folder is copied: use pg_dump for the database, the "
                "store's own tools for blobs, and copy the folder bundles of the data folder"
            )
        bundles = settings.data_folder / "bundles"
        done = back_up(storage.database, storage.blobs, bundles, folder)
    finally:
        storage.close()
    for sha256 in done.faulty:
        typer.echo(f"missing or corrupt: {sha256}")
    typer.echo(f"{done.blob_count} blobs copied, {done.copied_bytes} bytes")
    if done.faulty:
        raise typer.Exit(1)


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
