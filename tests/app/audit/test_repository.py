"""Pages of the audit trail, over both databases."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import insert

from app.audit.repository import AuditFilter, AuditRepository
from app.audit.service import Action, Event, record_event
from app.audit.tables import AuditEntryRow
from tests.fakes.clock import FakeClock

AT = FakeClock().now()
COUNT = 100_000


@pytest.fixture
def trail(database, clock):
    """Twelve entries: two actors, three actions, four subjects, a minute apart."""
    actions = (Action.CASE_VIEWED, Action.CASE_EXPORTED, Action.REVIEW_MADE)
    for number in range(12):
        event = Event(f"key:{number % 2}", actions[number % 3], f"case:{number % 4}", {})
        with database.transaction() as session:
            record_event(session, event, clock.now())
        clock.move(60)
    return database


FILTERS = [
    (AuditFilter(), range(1, 13)),
    (AuditFilter(actor="key:1"), [2, 4, 6, 8, 10, 12]),
    (AuditFilter(action="review_made"), [3, 6, 9, 12]),
    (AuditFilter(subject="case:0"), [1, 5, 9]),
    (AuditFilter(at_from=AT + timedelta(minutes=10)), [11, 12]),
    (AuditFilter(at_before=AT + timedelta(minutes=2)), [1, 2]),
    (AuditFilter(actor="key:1", action="review_made"), [6, 12]),
    (AuditFilter(actor="key:none"), []),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=str)
def test_pages_give_every_entry_that_fits_once_newest_first(trail, wanted, expected):
    found, before = [], None
    with trail.reading() as session:
        while rows := AuditRepository(session).list_page(wanted, before, 5):
            found += [row.sequence for row in rows]
            before = found[-1]

    assert found == list(expected)[::-1]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=str)
def test_the_way_of_a_sheet_is_oldest_first(trail, wanted, expected):
    with trail.reading() as session:
        rows = AuditRepository(session).list_after(wanted, 0, 100)

    assert [row.sequence for row in rows] == list(expected)


@pytest.mark.slow
def test_among_100_000_entries_a_page_is_quick_whatever_the_filter(database):
    rows = [
        {
            "sequence": number, "at": AT + timedelta(seconds=number), "actor": f"key:{number % 50}",
            "action": "case_viewed" if number % 1000 else "audit_exported",
            "subject": f"case:{number % 5000}", "detail": {}, "previous_sha256": "0", "sha256": "0",
        }
        for number in range(1, COUNT + 1)
    ]  # fmt: skip
    with database.transaction() as session:
        for start in range(0, COUNT, 10_000):
            session.execute(insert(AuditEntryRow), rows[start : start + 10_000])
    filters = [
        AuditFilter(),
        AuditFilter(actor="key:7"),
        AuditFilter(actor="key:none"),
        AuditFilter(action="audit_exported"),
        AuditFilter(action="review_made"),
        AuditFilter(subject="case:7"),
        AuditFilter(at_before=AT + timedelta(seconds=10)),
        AuditFilter(at_from=AT + timedelta(seconds=COUNT - 10)),
    ]

    took_s = {}
    with database.reading() as session:
        for wanted in filters:
            started_s = time.perf_counter()
            AuditRepository(session).list_page(wanted, None, 51)
            took_s[wanted] = time.perf_counter() - started_s

    assert {wanted: each for wanted, each in took_s.items() if each > 0.25} == {}
