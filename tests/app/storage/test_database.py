import threading

import pytest
from sqlalchemy import select, text

from app.errors import DatabaseUnavailable
from app.storage.database import Database, open_database
from app.storage.tables import BlobRow
from tests.fakes.clock import FakeClock


def _count(database: Database) -> int:
    with database.reading() as session:
        return len(session.scalars(select(BlobRow)).all())


def _write_and_fail(database: Database, clock: FakeClock) -> None:
    with database.transaction() as session:
        session.add(BlobRow(sha256="a" * 64, size_bytes=1, touched_at=clock.now()))
        session.flush()
        raise RuntimeError


def test_a_transaction_is_committed_at_the_end_of_its_block(database, clock):
    with database.transaction() as session:
        session.add(BlobRow(sha256="a" * 64, size_bytes=1, touched_at=clock.now()))

    assert _count(database) == 1


def test_a_transaction_that_fails_leaves_nothing(database, clock):
    with pytest.raises(RuntimeError):
        _write_and_fail(database, clock)

    assert _count(database) == 0


def test_instants_come_back_as_utc(database, clock):
    with database.transaction() as session:
        session.add(BlobRow(sha256="a" * 64, size_bytes=1, touched_at=clock.now()))

    with database.reading() as session:
        assert session.scalars(select(BlobRow)).one().touched_at == clock.now()


def test_sixteen_writers_at_once_all_succeed(database):
    errors: list[Exception] = []
    clock = FakeClock()

    def write(number: int) -> None:
        try:
            for part in range(10):
                name = f"{number:02x}{part:02x}" + "0" * 60
                with database.transaction() as session:
                    session.scalars(select(BlobRow).limit(1)).all()
                    session.add(BlobRow(sha256=name, size_bytes=1, touched_at=clock.now()))
        except Exception as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert _count(database) == 160


def test_sqlite_syncs_every_commit_to_disk_and_checks_foreign_keys(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}", 2)

    with database.reading() as session:
        facts = [
            session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    database.close()
    assert facts == ["wal", 2, 1]


def test_a_database_that_cannot_be_reached_is_a_503(tmp_path):
    database = open_database(f"postgresql://nobody@/none?host={tmp_path}", 1)

    with pytest.raises(DatabaseUnavailable) as caught:
        database.check()

    assert caught.value.status == 503
    assert caught.value.retry_after_s == 5


def test_a_restarted_postgresql_is_met_again_without_a_restart(cluster):
    name = cluster.create()
    database = open_database(cluster.url(name), 2)
    database.check()
    cluster.disconnect(name)

    database.check()

    with database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    database.close()
    cluster.drop(name)
