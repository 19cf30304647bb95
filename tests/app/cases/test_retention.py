from datetime import timedelta

import pytest
from sqlalchemy import select

from app.audit.service import verify_chain
from app.audit.tables import AuditEntryRow
from app.cases.orders import NewReview
from app.cases.repository import CaseRepository
from app.cases.retention import RetentionRules, expire_cases
from app.cases.reviews import review_case
from app.cases.service import keep_finding, quarantine_case
from app.cases.states import CaseState, ReviewState
from app.cases.tasks import Housekeeper, HousekeepingRules
from app.errors import CaseNotFound
from app.settings import Settings
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from tests.builders.cases import build_case, build_finding

DAY = timedelta(days=1)
RULES = RetentionRules(days=30, flagged_days=90)


def make_case(database, clock, days_ago, verdict=None, **facts):
    """Make a case that came some days ago; scored when it has a verdict."""
    at = clock.now() - days_ago * DAY
    with database.transaction() as session:
        content = f"{days_ago} {verdict} {facts}".encode()
        case = build_case(session, at, content, **facts)
        if verdict is not None:
            finding = build_finding(verdict=verdict)
            keep_finding(session, case.id, finding, at, is_shown=True)
        return case.id


def is_kept(database, case_id):
    with database.reading() as session:
        try:
            CaseRepository(session).get_case(case_id)
        except CaseNotFound:
            return False
        return True


@pytest.mark.parametrize(
    ("days_ago", "verdict", "is_left"),
    [
        (29, "typical", True),
        (31, "typical", False),
        (31, "indeterminate", False),
        (31, "anomalous", True),
        (91, "anomalous", False),
    ],
)
def test_cases_end_by_age_and_verdict(database, clock, days_ago, verdict, is_left):
    case = make_case(database, clock, days_ago, verdict)

    count = expire_cases(database, RULES, clock.now())

    assert is_kept(database, case) is is_left
    assert count == int(not is_left)


@pytest.mark.parametrize("state", [CaseState.QUEUED, CaseState.RECEIVING])
def test_a_case_that_is_not_scored_yet_is_never_deleted(database, clock, state):
    case = make_case(database, clock, 1000, state=state)

    assert expire_cases(database, RULES, clock.now()) == 0
    assert is_kept(database, case)


def test_a_quarantined_case_ends_like_a_typical_one(database, clock):
    case = make_case(database, clock, 31)
    with database.transaction() as session:
        quarantine_case(session, case, "poison_scan", clock.now())

    assert expire_cases(database, RULES, clock.now()) == 1


def test_a_reviewed_case_is_kept_as_long_as_a_flagged_one_since_its_review(database, clock):
    case = make_case(database, clock, 100, "typical")
    with database.transaction() as session:
        review = NewReview(ReviewState.CONFIRMED, "", "user:1", "reader")
        review_case(session, case, review, clock.now() - 10 * DAY)

    early = expire_cases(database, RULES, clock.now())
    late = expire_cases(database, RULES, clock.now() + 81 * DAY)

    assert (early, late) == (0, 1)


def test_flagged_cases_are_kept_for_good_without_a_rule_for_them(database, clock):
    case = make_case(database, clock, 10_000, "anomalous")

    expire_cases(database, RetentionRules(days=1, flagged_days=None), clock.now())

    assert is_kept(database, case)


def test_every_deletion_is_in_the_audit_trail(database, clock):
    case = make_case(database, clock, 31, "typical")

    expire_cases(database, RULES, clock.now())

    with database.reading() as session:
        last = session.scalars(select(AuditEntryRow).order_by(AuditEntryRow.sequence)).all()[-1]
        verify_chain(session)
    assert (last.actor, last.action, last.subject) == ("retention", "case_deleted", f"case:{case}")


def make_housekeeper(database, blobs, clock, retention):
    storage = Storage(database, blobs, Watermark((), 0))
    rules = HousekeepingRules(timedelta(hours=1), timedelta(minutes=1), retention)
    return Housekeeper(storage, clock, rules)


def test_housekeeping_deletes_cases_and_then_their_bytes(database, blobs, clock):
    case = make_case(database, clock, 31, "typical")
    with database.reading() as session:
        (file,) = CaseRepository(session).list_instances(case)
    assert blobs.write(b"31 typical {}").sha256 == file.sha256
    clock.move(120)

    done = make_housekeeper(database, blobs, clock, RULES).keep_house()

    assert done
    assert not blobs.exists(file.sha256)


def test_nothing_is_deleted_unless_a_time_is_set(database, blobs, clock):
    case = make_case(database, clock, 10_000, "typical")
    settings = Settings()
    rules = RetentionRules(settings.retention_days, settings.retention_flagged_days)

    make_housekeeper(database, blobs, clock, rules).keep_house()

    assert not rules.is_on
    assert is_kept(database, case)


def test_of_two_processes_one_keeps_house_and_once_in_its_time(database, blobs, clock):
    first, second = (make_housekeeper(database, blobs, clock, RULES) for _ in range(2))

    done = [first.keep_house(), second.keep_house()]
    clock.move(3600)
    again = [second.keep_house(), first.keep_house()]

    assert (done, again) == ([True, False], [True, False])
