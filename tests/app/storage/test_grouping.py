import threading

import pytest
from sqlalchemy import text

from app.errors import DatabaseUnavailable, StorageFull
from app.storage.grouping import GroupedWriter
from app.storage.identifiers import draw_id

INSERT = text(
    "INSERT INTO blobs (sha256, size_bytes, touched_at) VALUES (:sha256, 1, CURRENT_TIMESTAMP)"
)


def keep(name):
    def work(session):
        session.execute(INSERT, {"sha256": name})
        return name

    return work


def list_names(database):
    with database.reading() as session:
        return set(session.scalars(text("SELECT sha256 FROM blobs")))


def run_together(writer, works):
    """Run works in threads of their own; gives results and errors."""
    outcomes = {}

    def run(index, work):
        try:
            outcomes[index] = writer.run(work)
        except (StorageFull, DatabaseUnavailable) as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [outcomes[index] for index in range(len(works))]


def test_every_work_is_committed_and_gives_its_own_result(database):
    names = [f"{index:064x}" for index in range(50)]

    results = run_together(GroupedWriter(database), [keep(name) for name in names])

    assert results == names
    assert list_names(database) == set(names)


def test_a_work_that_fails_undoes_itself_alone(database):
    def fail(session):
        keep("f" * 64)(session)
        raise StorageFull

    works = [keep(f"{index:064x}") for index in range(10)]

    results = run_together(GroupedWriter(database), [*works, fail])

    assert isinstance(results[-1], StorageFull)
    assert list_names(database) == set(results[:-1])


def test_works_that_come_together_share_commits(database, monkeypatch):
    commits = []
    transaction = database.transaction
    slow = threading.Event()

    def count():
        commits.append(1)
        slow.wait(0.05)
        return transaction()

    monkeypatch.setattr(database, "transaction", count)
    run_together(GroupedWriter(database), [keep(f"{index:064x}") for index in range(20)])

    assert len(commits) < 10


def test_a_commit_that_fails_is_told_to_everybody(database, monkeypatch):
    def fail():
        raise DatabaseUnavailable

    monkeypatch.setattr(database, "transaction", fail)

    results = run_together(GroupedWriter(database), [keep("a" * 64), keep("b" * 64)])

    assert [type(result) for result in results] == [DatabaseUnavailable] * 2


def test_a_writer_goes_on_after_a_failure(database, clock):
    writer = GroupedWriter(database)
    with pytest.raises(ZeroDivisionError):
        writer.run(lambda _session: 1 / 0)

    assert writer.run(keep(draw_id(clock.now()).hex * 2)) in list_names(database)
