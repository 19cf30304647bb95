"""Reviews: what people say of findings, and take back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Event, record_event
from app.cases.orders import NewReview
from app.cases.repository import CaseRepository
from app.cases.states import ReviewState
from app.cases.tables import ReviewRow
from app.errors import MoveNotAllowed
from app.storage.identifiers import draw_id


def review_case(session: Session, case_id: UUID, new: NewReview, at: datetime) -> ReviewRow:
    """Keep what a person says of the finding that is shown.

    Raises:
        FindingNotFound: the case has no finding yet.
    """
    if new.decision is ReviewState.NONE:
        raise MoveNotAllowed("a review says confirmed, dismissed or unsure")
    repository = CaseRepository(session)
    case = repository.lock_case(case_id)
    row = ReviewRow(
        id=draw_id(at),
        case_id=case_id,
        finding_id=repository.get_shown_finding(case).id,
        decision=new.decision,
        note=new.note,
        reviewer=new.reviewer,
        reviewer_name=new.reviewer_name,
        made_at=at,
    )
    repository.add(row)
    case.review, case.reviewed_at, case.changed_at = new.decision, at, at
    session.flush()
    detail = {"review": str(row.id), "decision": new.decision.value}
    subject = f"case:{case_id}"
    record_event(session, Event(new.reviewer, Action.REVIEW_MADE, subject, detail), at)
    return row


def undo_review(
    session: Session, case_id: UUID, review_id: UUID, by: str, at: datetime
) -> ReviewRow:
    """Take a review back; the case shows the one before it, if that is of the same finding.

    Raises:
        ReviewNotFound: the case has no such review.
    """
    repository = CaseRepository(session)
    case = repository.lock_case(case_id)
    row = repository.get_review(case_id, review_id)
    if row.undone_at is not None:
        return row
    row.undone_at, row.undone_by = at, by
    shown = repository.get_shown_finding(case)
    standing = [
        review
        for review in repository.list_reviews(case_id)
        if review.undone_at is None and review.finding_id == shown.id
    ]
    last = standing[-1] if standing else None
    case.review = last.decision if last else ReviewState.NONE
    case.reviewed_at = last.made_at if last else None
    case.changed_at = at
    session.flush()
    event = Event(by, Action.REVIEW_UNDONE, f"case:{case_id}", {"review": str(review_id)})
    record_event(session, event, at)
    return row
