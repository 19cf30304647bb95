import pytest
from sqlalchemy import func, select

from app.audit.tables import AuditEntryRow
from app.cases.orders import NewInstance, NewReview, NewUpload
from app.cases.repository import CaseRepository
from app.cases.reviews import review_case, undo_review
from app.cases.service import (
    add_instances,
    delete_case,
    keep_finding,
    keep_upload,
    move_case,
    quarantine_case,
)
from app.cases.states import MOVES, CaseState, ReviewState
from app.cases.tables import CaseRow, CaseTermRow, FindingRow, InstanceRow, UploadRow
from app.errors import (
    CaseNotFound,
    FindingNotFound,
    IdempotencyConflict,
    MoveNotAllowed,
    ReviewNotFound,
)
from app.storage.blobs import StoredBlob
from app.storage.repository import BlobRepository
from tests.builders.cases import OTHER_BUNDLE, SENDER, build_case, build_finding


@pytest.fixture
def session(database):
    with database.transaction() as session:
        yield session


def _review(decision=ReviewState.CONFIRMED):
    return NewReview(decision, "note", "user:1", "Reader")


def test_the_same_bytes_of_a_sender_are_one_upload(session, clock):
    build_case(session, clock.now())
    sha256 = session.scalars(select(UploadRow.sha256)).one()

    _, is_new = keep_upload(session, NewUpload(SENDER, sha256, 4), clock.now())
    _, is_new_to_another = keep_upload(session, NewUpload("key:2", sha256, 4), clock.now())

    assert (is_new, is_new_to_another) == (False, True)


def test_an_idempotency_key_stands_for_the_same_bytes(session, clock):
    for content in ("a", "b"):
        BlobRepository(session).touch([StoredBlob(content * 64, 1)], clock.now())
    first, _ = keep_upload(session, NewUpload(SENDER, "a" * 64, 1, "k"), clock.now())

    again, is_new = keep_upload(session, NewUpload(SENDER, "a" * 64, 1, "k"), clock.now())

    assert (again.id, is_new) == (first.id, False)
    with pytest.raises(IdempotencyConflict):
        keep_upload(session, NewUpload(SENDER, "b" * 64, 1, "k"), clock.now())


def test_files_are_added_in_order_and_once(session, clock):
    case = build_case(session, clock.now(), state=CaseState.RECEIVING)
    upload = session.scalars(select(UploadRow)).one()
    BlobRepository(session).touch([StoredBlob("a" * 64, 1)], clock.now())
    new = NewInstance(upload.id, "a" * 64, 1)

    add_instances(session, case, [new, new], clock.now())
    add_instances(session, case, [new], clock.now())

    positions = [row.position for row in CaseRepository(session).list_instances(case.id)]
    assert positions == [0, 1]


def test_a_finding_makes_the_case_scored_and_is_shown(session, clock):
    case = build_case(session, clock.now())

    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)

    assert (case.state, case.verdict, case.score) == (CaseState.SCORED, "anomalous", 4.2)
    assert CaseRepository(session).get_shown_finding(case).threshold == 2.0


def test_a_bundle_says_it_once_however_often_a_job_repeats(session, clock):
    case = build_case(session, clock.now())
    first = keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)

    again = keep_finding(session, case.id, build_finding(score=9.9), clock.now(), is_shown=True)

    assert again.id == first.id
    assert case.score == 4.2
    assert session.scalar(select(func.count()).select_from(FindingRow)) == 1


def test_a_candidate_is_kept_beside_and_not_shown(session, clock):
    case = build_case(session, clock.now())
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    other = build_finding(bundle_digest=OTHER_BUNDLE, verdict="typical", score=0.1)

    keep_finding(session, case.id, other, clock.now(), is_shown=False)

    assert case.verdict == "anomalous"
    assert len(CaseRepository(session).list_findings(case.id)) == 2


def test_old_findings_are_kept_when_another_bundle_is_shown(session, clock):
    case = build_case(session, clock.now())
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    clock.move(1)
    other = build_finding(bundle_digest=OTHER_BUNDLE, verdict="typical", score=0.1)

    keep_finding(session, case.id, other, clock.now(), is_shown=True)

    verdicts = [row.verdict for row in CaseRepository(session).list_findings(case.id)]
    assert (case.verdict, verdicts) == ("typical", ["anomalous", "typical"])


@pytest.mark.parametrize(
    ("verdict", "review"), [("anomalous", ReviewState.CONFIRMED), ("typical", ReviewState.NONE)]
)
def test_a_review_stands_until_the_verdict_changes(session, clock, verdict, review):
    case = build_case(session, clock.now())
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    review_case(session, case.id, _review(), clock.now())
    other = build_finding(bundle_digest=OTHER_BUNDLE, verdict=verdict)

    keep_finding(session, case.id, other, clock.now(), is_shown=True)

    assert case.review == review
    assert len(CaseRepository(session).list_reviews(case.id)) == 1


def test_an_undone_review_gives_way_to_the_one_before(session, clock):
    case = build_case(session, clock.now())
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    first = review_case(session, case.id, _review(ReviewState.UNSURE), clock.now())
    clock.move(1)
    second = review_case(session, case.id, _review(ReviewState.DISMISSED), clock.now())

    undo_review(session, case.id, second.id, "user:1", clock.now())
    after_one = case.review
    undo_review(session, case.id, first.id, "user:1", clock.now())

    assert (after_one, case.review) == (ReviewState.UNSURE, ReviewState.NONE)


def test_a_case_without_finding_cannot_be_reviewed(session, clock):
    case = build_case(session, clock.now())

    with pytest.raises(FindingNotFound):
        review_case(session, case.id, _review(), clock.now())


def test_a_review_of_another_case_is_not_found(session, clock):
    case = build_case(session, clock.now())
    other = build_case(session, clock.now(), b"other")
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    review = review_case(session, case.id, _review(), clock.now())

    with pytest.raises(ReviewNotFound):
        undo_review(session, other.id, review.id, "user:1", clock.now())


@pytest.mark.parametrize("before", list(CaseState))
@pytest.mark.parametrize("after", list(CaseState))
def test_a_case_moves_along_the_drawn_ways_only(clock, before, after):
    case = CaseRow(state=before, changed_at=clock.now())

    try:
        move_case(case, after, clock.now())
    except MoveNotAllowed:
        has_moved = False
    else:
        has_moved = True

    assert has_moved is (after in MOVES[before])


def test_a_quarantined_case_keeps_its_reason(session, clock):
    case = build_case(session, clock.now())

    quarantine_case(session, case.id, "corrupt_scan", clock.now())

    assert (case.state, case.failure_code) == (CaseState.QUARANTINED, "corrupt_scan")


def test_a_deleted_case_leaves_nothing_but_its_audit_entries(session, clock):
    case = build_case(session, clock.now(), patient_name="DOE^ANNA")
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    review_case(session, case.id, _review(), clock.now())
    case_id = case.id

    delete_case(session, case_id, "user:1", clock.now())

    with pytest.raises(CaseNotFound):
        CaseRepository(session).get_case(case_id)
    tables = (UploadRow, InstanceRow, FindingRow, CaseTermRow)
    assert [session.scalar(select(func.count()).select_from(table)) for table in tables] == [0] * 4
    assert (
        session.scalars(select(AuditEntryRow.action).order_by(AuditEntryRow.sequence)).all()[-1]
        == "case_deleted"
    )


def test_audit_entries_of_a_case_hold_no_patient_data(session, clock):
    case = build_case(session, clock.now(), patient_name="CANARY^ANNA", patient_id="CANARY")
    keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
    review_case(session, case.id, _review(), clock.now())
    delete_case(session, case.id, "user:1", clock.now())

    told = [(row.subject, row.detail, row.actor) for row in session.scalars(select(AuditEntryRow))]

    assert len(told) == 3
    assert "CANARY" not in str(told)
