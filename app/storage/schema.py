"""The schema of the database: created, migrated one step after another, refused when newer."""

from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from app.errors import SchemaOutdated, SchemaTooNew
from app.storage.database import Database

_LOCK = 0x4145474C  # "AEGL": two processes that migrate take turns


@dataclass(frozen=True, slots=True)
class Migration:
    """From which revision to which a database was brought; None is an empty one."""

    before: str | None
    after: str


def migrate_database(database: Database) -> Migration:
    """Bring a database to the revision of this release, in one transaction.

    Raises:
        SchemaTooNew: it was migrated by a newer release.
    """
    with database.connection() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = _read_revision(connection)
        head = _find_head()
        if before is not None:
            _check_known(before)
        if before != head:
            config = _configure()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return Migration(before, head)


def plan_migration(database: Database) -> Migration:
    """Tell what `migrate_database` would do, and change nothing.

    Raises:
        SchemaTooNew: the database was migrated by a newer release.
    """
    with database.reading() as session:
        before = _read_revision(session.connection())
    if before is not None:
        _check_known(before)
    return Migration(before, _find_head())


def check_schema(database: Database) -> None:
    """Let the service start on a database of this release only.

    Raises:
        SchemaOutdated: it waits for `aegle migrate`.
        SchemaTooNew: it was migrated by a newer release.
    """
    with database.reading() as session:
        revision = _read_revision(session.connection())
    if revision is None:
        raise SchemaOutdated("the database is empty: run `aegle migrate`")
    _check_known(revision)
    if revision != _find_head():
        raise SchemaOutdated


def is_empty(database: Database) -> bool:
    """Tell whether a database has never been migrated."""
    with database.reading() as session:
        return _read_revision(session.connection()) is None


def _check_known(revision: str) -> None:
    try:
        ScriptDirectory.from_config(_configure()).get_revision(revision)
    except CommandError:
        raise SchemaTooNew from None


def _read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _find_head() -> str:
    head = ScriptDirectory.from_config(_configure()).get_current_head()
    if head is None:
        raise SchemaTooNew("this release holds no migrations")
    return head


def _configure() -> Config:
    config = Config()
    config.set_main_option("script_location", "app.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
