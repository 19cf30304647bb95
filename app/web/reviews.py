"""What people said of a case, as it is read: who, when, of which bundle's result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.auth.permissions import Permission
from app.cases.history import CaseHistory
from app.cases.tables import CaseRow, ReviewRow
from app.web.reading import Reader
from app.web.words import tell_age


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """What somebody said, of which result, and whether it still stands."""

    id: UUID
    who: str
    decision: str
    note: str
    made_at: datetime
    age: str
    bundle: str
    is_undone: bool
    is_superseded: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The reviews of a case, newest first, and what the reader may do."""

    case_id: UUID
    lines: Sequence[ReviewLine]
    own_standing: UUID | None
    may_review: bool
    is_scored: bool
    has_others: bool


def build_reviews(case: CaseRow, history: CaseHistory, reader: Reader) -> ReviewView:
    """Prepare the reviews of a case."""
    bundles = {row.id: row.bundle_digest for row in history.findings}
    lines = [
        _build_line(row, bundles.get(row.finding_id), case, reader)
        for row in reversed(history.reviews)
    ]
    standing = [line for line in lines if not line.is_undone and not line.is_superseded]
    own = [line.id for line in standing if line.is_own]
    return ReviewView(
        case_id=case.id,
        lines=lines,
        own_standing=own[0] if own else None,
        may_review=reader.caller.may(Permission.REVIEW_CASES),
        is_scored=case.bundle_digest is not None,
        has_others=len({line.decision for line in standing}) > 1,
    )


def _build_line(row: ReviewRow, digest: str | None, case: CaseRow, reader: Reader) -> ReviewLine:
    return ReviewLine(
        id=row.id,
        who=row.reviewer_name,
        decision=row.decision,
        note=row.note,
        made_at=row.made_at,
        age=tell_age(row.made_at, reader.now),
        bundle=reader.library.name(digest),
        is_undone=row.undone_at is not None,
        is_superseded=digest != case.bundle_digest,
        is_own=row.reviewer == reader.caller.id,
    )
