"""Databases of older releases."""

from alembic import command

from app.storage.database import Database
from app.storage.schema import _configure


def upgrade_to(database: Database, revision: str) -> None:
    """Bring an older database to a revision, as an older release did."""
    with database.connection() as connection:
        config = _configure()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
