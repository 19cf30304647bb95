"""The service's own commands, each on a storage of its own."""

import sqlite3

import pytest
import typer
from typer.testing import CliRunner

import app.audit.commands
import app.auth.commands
import app.storage.commands
from app.clock import SystemClock
from app.errors import AuditChainBroken, SchemaTooNew, SettingsError
from app.settings import Settings, read_settings
from app.storage.opening import open_settings_database, open_storage
from app.storage.service import register_blob
from tests.builders.databases import upgrade_to


@pytest.fixture
def aegle(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AEGLE_{name.upper()}", raising=False)
    monkeypatch.setenv("AEGLE_DATA_FOLDER", str(tmp_path / "data"))
    cli = typer.Typer()
    for part in (app.storage.commands, app.auth.commands, app.audit.commands):
        part.register(cli)

    def run(*words: str):
        return CliRunner().invoke(cli, list(words), catch_exceptions=True)

    return run


def test_migrate_creates_the_database_and_then_has_nothing_to_do(aegle):
    first, second = aegle("migrate"), aegle("migrate")

    assert first.output.startswith("migrated from empty to ")
    assert second.output.startswith("nothing to do")


def test_a_key_is_printed_once_listed_without_secret_and_revoked(aegle):
    token = aegle("keys", "create", "CT 1", "--role", "sender").output.strip()
    listed = aegle("keys", "list").output
    revoked = aegle("keys", "revoke", listed.split()[0]).output

    assert token.startswith("aegle_")
    assert "valid   CT 1  scans:send" in listed
    assert token.rpartition("_")[2] not in listed
    assert revoked.startswith("revoked ")
    assert "revoked CT 1" in aegle("keys", "list").output


def test_the_audit_trail_of_the_commands_verifies_against_a_noted_head(aegle):
    aegle("keys", "create", "CT 1")
    head = aegle("audit", "verify").output.split()[-1]
    aegle("keys", "create", "CT 2")

    again = aegle("audit", "verify", "--noted", head)
    wrong = aegle("audit", "verify", "--noted", f"1:{'0' * 64}")

    assert again.output.startswith("2 entries, unbroken")
    assert isinstance(wrong.exception, AuditChainBroken)


def test_store_verify_fails_when_a_blob_is_corrupt(aegle):
    storage = open_storage(read_settings())
    blob = storage.blobs.write(b"scan")
    with storage.database.transaction() as session:
        register_blob(session, storage.blobs, blob, SystemClock().now())
    path = storage.blobs.find_path(blob.sha256)
    right = aegle("store", "verify")
    path.chmod(0o600)
    path.write_bytes(b"other")
    storage.close()

    wrong = aegle("store", "verify")

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert f"corrupt: {blob.sha256}" in wrong.output


def test_store_collect_leaves_young_blobs(aegle):
    storage = open_storage(read_settings())
    storage.blobs.write(b"young")
    storage.close()

    assert aegle("store", "collect").output == "0 blobs removed, 0 bytes freed\n"


def test_migrate_copies_an_older_database_aside_and_tells_how_to_go_back(aegle, tmp_path):
    settings = read_settings()
    settings.data_folder.mkdir(parents=True)
    database = open_settings_database(settings)
    upgrade_to(database, "0004")
    database.close()

    told = aegle("migrate").output

    (copy,) = (tmp_path / "data" / "backups").iterdir()
    assert f"copied the database to {copy}" in told
    assert "to go back: stop the service" in told
    assert "migrated from 0004 to " in told
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)


def test_migrate_copies_nothing_of_a_newer_database(aegle, tmp_path):
    aegle("migrate")
    with sqlite3.connect(tmp_path / "data" / "aegle.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    refused = aegle("migrate")

    assert isinstance(refused.exception, SchemaTooNew)
    assert not (tmp_path / "data" / "backups").exists()


def test_a_backup_serves_as_the_data_folder(aegle, monkeypatch, tmp_path):
    aegle("keys", "create", "CT 1")

    told = aegle("backup", str(tmp_path / "copy")).output
    monkeypatch.setenv("AEGLE_DATA_FOLDER", str(tmp_path / "copy"))

    assert told == "0 blobs copied, 0 bytes\n"
    assert "CT 1" in aegle("keys", "list").output


def test_backup_leaves_stores_of_others_to_their_own_tools(aegle, monkeypatch, tmp_path):
    monkeypatch.setenv("AEGLE_BLOB_URL", "s3://bucket")
    monkeypatch.setenv("AEGLE_S3_ENDPOINT", "http://127.0.0.1:9")

    refused = aegle("backup", str(tmp_path / "copy"))

    assert isinstance(refused.exception, SettingsError)
    assert "pg_dump" in str(refused.exception)
