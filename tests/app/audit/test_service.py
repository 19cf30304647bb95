import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.audit.service import Action, ChainHead, Event, record_event, verify_chain
from app.audit.tables import AuditEntryRow
from app.errors import AuditChainBroken

EVENT = Event("key:1", Action.SCAN_ACCEPTED, "case:1", {"slices": 3, "was_known": False})


def _record(database, clock, count):
    for _ in range(count):
        with database.transaction() as session:
            head = record_event(session, EVENT, clock.now())
        clock.move(1)
    return head


def _unlock(session):
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("DROP TRIGGER audit_entries_no_update"))
        session.execute(text("DROP TRIGGER audit_entries_no_delete"))
    else:
        session.execute(text("DROP TRIGGER audit_entries_no_change ON audit_entries"))


def test_an_untouched_trail_is_unbroken(database, clock):
    head = _record(database, clock, 4)

    with database.reading() as session:
        assert verify_chain(session) == head
        assert head.sequence == 4


def test_an_empty_trail_is_unbroken(database):
    with database.reading() as session:
        assert verify_chain(session).sequence == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"]
)
def test_the_database_refuses_to_change_or_delete_entries(database, clock, statement):
    _record(database, clock, 1)

    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as session:
        session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit_entries SET actor = 'user:x' WHERE sequence = 2", "entry 2"),
        ("UPDATE audit_entries SET detail = '{}' WHERE sequence = 3", "entry 3"),
        ("DELETE FROM audit_entries WHERE sequence = 2", "entry 2 is missing"),
        ("DELETE FROM audit_entries WHERE sequence = 1", "entry 1 is missing"),
    ],
)
def test_a_change_behind_the_back_of_the_service_breaks_the_chain(database, clock, statement, told):
    _record(database, clock, 4)
    with database.transaction() as session:
        _unlock(session)
        session.execute(text(statement))

    with database.reading() as session, pytest.raises(AuditChainBroken, match=told):
        verify_chain(session)


def test_a_cut_end_is_found_by_a_head_noted_earlier(database, clock):
    head = _record(database, clock, 4)
    with database.transaction() as session:
        _unlock(session)
        session.execute(text("DELETE FROM audit_entries WHERE sequence = 4"))

    with database.reading() as session:
        assert verify_chain(session).sequence == 3
        with pytest.raises(AuditChainBroken):
            verify_chain(session, head)


def test_a_head_noted_earlier_stays_valid_while_the_trail_grows(database, clock):
    noted = _record(database, clock, 2)
    _record(database, clock, 2)

    with database.reading() as session:
        assert verify_chain(session, noted).sequence == 4
        assert verify_chain(session, ChainHead(0, "0" * 64)).sequence == 4


def test_entries_of_many_threads_form_one_chain(database, clock):
    threads = [threading.Thread(target=_record, args=(database, clock, 5)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert verify_chain(session).sequence == 30


def test_an_entry_goes_with_the_transaction_that_it_tells_of(database, clock):
    _record(database, clock, 1)

    with pytest.raises(RuntimeError):
        _record_and_fail(database, clock)

    with database.reading() as session:
        assert session.query(AuditEntryRow).count() == 1


def _record_and_fail(database, clock):
    with database.transaction() as session:
        record_event(session, EVENT, clock.now())
        raise RuntimeError
