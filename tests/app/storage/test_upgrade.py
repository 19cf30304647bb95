"""A database of an older release goes up to this one, and every row comes along."""

import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Float,
    Integer,
    MetaData,
    Numeric,
    Uuid,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from app.storage.database import Database
from app.storage.schema import check_schema, migrate_database
from tests.builders.databases import upgrade_to

IDENTIFIER = uuid.UUID("0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a")


def make_value(kind: TypeEngine, *, is_sqlite: bool):
    """Give a value of a column's type, the same for all columns: so foreign keys fit."""
    if isinstance(kind, DateTime):
        instant = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
        return instant.replace(tzinfo=None) if is_sqlite else instant
    if isinstance(kind, Uuid):
        return IDENTIFIER
    if isinstance(kind, JSON):
        return {"key": "value"}
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer | Numeric | Float):
        return 1
    length = getattr(kind, "length", None) or 16
    return IDENTIFIER.hex if length == len(IDENTIFIER.hex) else "a" * min(length, 64)


def fill_tables(database: Database) -> None:
    """Put one row with a value in every column into every table."""
    with database.connection() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if table.name == "alembic_version":
                continue
            values = {
                column.name: make_value(column.type, is_sqlite=database.is_sqlite)
                for column in table.columns
            }
            connection.execute(insert(table).values(values))


def read_tables(database: Database) -> dict[str, list[dict[str, object]]]:
    with database.reading() as session:
        metadata = MetaData()
        metadata.reflect(session.connection())
        return {
            table.name: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
            if table.name != "alembic_version"
        }


@pytest.mark.parametrize("revision", ["0004", "0006"])
def test_every_row_of_an_older_schema_comes_along_unchanged(empty_database, revision):
    upgrade_to(empty_database, revision)
    fill_tables(empty_database)
    before = read_tables(empty_database)

    migration = migrate_database(empty_database)

    after = read_tables(empty_database)
    kept = {
        name: [{column: row[column] for column in before[name][0]} for row in after[name]]
        for name in before
    }
    check_schema(empty_database)
    assert migration.before == revision
    assert len(before) >= 10
    assert kept == before
