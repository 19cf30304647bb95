import sqlite3
import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from app.errors import DatabaseUnavailable, StorageFull
from app.storage.backups import KEPT, back_up, copy_database, keep_database
from app.storage.database import open_database
from app.storage.folder_store import FolderBlobStore
from app.storage.schema import migrate_database
from app.storage.service import register_blob, verify_blobs


@pytest.fixture
def embedded(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'aegle.db'}", 2)
    migrate_database(database)
    yield database
    database.close()


def keep(database, blobs, clock, content):
    blob = blobs.write(content)
    with database.transaction() as session:
        register_blob(session, blobs, blob, clock.now())
    return blob.sha256


def count_rows(place):
    with sqlite3.connect(place) as connection:
        return connection.execute("SELECT count(*) FROM blobs").fetchone()[0]


def add_rows(database, count):
    with database.transaction() as session:
        for number in range(count):
            values = {"name": f"{number:064}"}
            session.execute(text("INSERT INTO blobs VALUES (:name, 1, '2030-01-02')"), values)


def make_bundle(folder, digest):
    (folder / digest).mkdir(parents=True)
    (folder / digest / "manifest.json").write_text("{}")


def test_a_copy_holds_what_is_committed_and_is_one_file(embedded, blobs, clock, tmp_path):
    keep(embedded, blobs, clock, b"scan")
    with embedded.transaction() as session:
        session.execute(text("DELETE FROM blobs"))  # not committed while it is copied
        copy_database(embedded, tmp_path / "copy.db")
        session.rollback()

    assert count_rows(tmp_path / "copy.db") == 1
    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]


def test_only_the_latest_copies_of_migrations_are_kept(embedded, clock, tmp_path):
    folder = tmp_path / "backups"

    places = [
        keep_database(embedded, folder, "0004", clock.now() + timedelta(hours=number))
        for number in range(KEPT + 2)
    ]

    assert sorted(folder.iterdir()) == places[2:]


def test_a_backup_is_a_data_folder_that_verifies(embedded, blobs, clock, tmp_path):
    kept = [keep(embedded, blobs, clock, content) for content in (b"one", b"two")]
    make_bundle(tmp_path / "bundles", "b" * 64)
    folder = tmp_path / "backup"

    done = back_up(embedded, blobs, tmp_path / "bundles", folder)

    copy = open_database(f"sqlite:///{folder / 'aegle.db'}", 1)
    store = FolderBlobStore(folder / "blobs")
    faults = list(verify_blobs(copy, store))
    copy.close()
    assert (done.blob_count, done.copied_bytes, done.faulty) == (2, 6, ())
    assert faults == [None, None]
    assert all(store.exists(sha256) for sha256 in kept)
    assert (folder / "bundles" / ("b" * 64) / "manifest.json").read_text() == "{}"


def test_a_second_backup_copies_only_what_is_new(embedded, blobs, clock, tmp_path):
    keep(embedded, blobs, clock, b"old")
    back_up(embedded, blobs, tmp_path / "bundles", tmp_path / "backup")
    keep(embedded, blobs, clock, b"newer")

    done = back_up(embedded, blobs, tmp_path / "bundles", tmp_path / "backup")

    assert (done.blob_count, done.copied_bytes) == (1, 5)
    assert count_rows(tmp_path / "backup" / "aegle.db") == 2


def test_missing_and_corrupt_blobs_are_named_and_not_copied(embedded, blobs, clock, tmp_path):
    missing = keep(embedded, blobs, clock, b"missing")
    corrupt = keep(embedded, blobs, clock, b"corrupt")
    blobs.delete(missing)
    path = blobs.find_path(corrupt)
    path.chmod(0o600)
    path.write_bytes(b"changed")

    done = back_up(embedded, blobs, tmp_path / "bundles", tmp_path / "backup")

    assert set(done.faulty) == {missing, corrupt}
    assert done.blob_count == 0


def test_a_database_in_use_is_copied_whole(embedded, blobs, clock, tmp_path):
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            keep(embedded, blobs, clock, str(number).encode())

    writer = threading.Thread(target=write)
    writer.start()
    done = back_up(embedded, blobs, tmp_path / "bundles", tmp_path / "backup")
    stop.set()
    writer.join()

    assert done.faulty == ()
    assert done.blob_count == count_rows(tmp_path / "backup" / "aegle.db")


def test_a_copy_that_cannot_be_made_leaves_nothing(embedded, tmp_path):
    with pytest.raises(DatabaseUnavailable):
        copy_database(embedded, tmp_path / "nowhere" / "copy.db")

    assert not (tmp_path / "nowhere").exists()


def test_a_database_without_room_is_a_507_and_reading_goes_on(embedded, blobs, clock):
    keep(embedded, blobs, clock, b"before")
    with embedded.reading() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar()
    event.listen(
        embedded.writer, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={pages}")
    )

    with pytest.raises(StorageFull) as caught:
        add_rows(embedded, 10_000)

    assert caught.value.status == 507
    assert count_rows(embedded.engine.url.database) == 1
