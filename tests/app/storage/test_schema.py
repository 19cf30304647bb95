import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from app.audit.tables import AuditEntryRow
from app.auth.tables import ApiKeyRow
from app.batch.tables import JobRow
from app.bundles.tables import BundleRow
from app.cases.tables import CaseRow
from app.dicom.tables import DicomInstanceRow
from app.errors import SchemaOutdated, SchemaTooNew
from app.storage.schema import check_schema, migrate_database
from app.storage.tables import Table
from app.webhooks.tables import DeliveryRow

SUBJECTS = (
    AuditEntryRow,
    ApiKeyRow,
    BundleRow,
    CaseRow,
    DeliveryRow,
    DicomInstanceRow,
    JobRow,
)  # imported, so that metadata is whole


def test_migrations_make_the_tables_that_the_code_describes(database):
    with database.connection() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Table.metadata)

    assert {row.__tablename__ for row in SUBJECTS} <= set(Table.metadata.tables)
    assert differences == []


def test_an_empty_database_is_migrated_and_a_migrated_one_left_alone(empty_database):
    first = migrate_database(empty_database)
    second = migrate_database(empty_database)

    check_schema(empty_database)
    assert first.before is None
    assert second.before == second.after == first.after


def test_an_unmigrated_database_is_refused(empty_database):
    with pytest.raises(SchemaOutdated):
        check_schema(empty_database)


@pytest.mark.parametrize("act", [check_schema, migrate_database])
def test_a_database_of_a_newer_release_is_refused(database, act):
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaTooNew):
        act(database)


def test_an_older_database_waits_for_migrate(database):
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    with pytest.raises(SchemaOutdated):
        check_schema(database)


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty_database):
    with empty_database.transaction() as session:
        session.execute(text("CREATE TABLE cases (id INTEGER)"))  # in the way of a step

    with pytest.raises(Exception, match="cases"):
        migrate_database(empty_database)

    with empty_database.reading() as session:
        names = set(MigrationContext.configure(session.connection()).get_current_heads())
    assert names == set()
