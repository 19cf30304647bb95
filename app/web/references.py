"""The nearest references of a case as they are read: a picture each, at the place looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.cases.references import find_references
from app.cases.repository import CaseRepository
from app.cases.tables import CaseRow
from app.web.reading import Reader
from app.web.words import tell_age

SHOWN = 3
_SIZE_PX = 256


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """A case to compare with; no name: whose scan it is does not matter here."""

    address: str
    picture: str
    score: float | None
    age: str


def build_references(
    session: Session, case: CaseRow, hottest: int, reader: Reader
) -> Sequence[ReferenceLine]:
    """Prepare the nearest references.

    Args:
        session: of the transaction.
        case: the one that is read.
        hottest: its strangest slice; the pictures are of the same place. -1 for none.
        reader: who reads.
    """
    return [
        _build_line(found.case, case, hottest, reader)
        for found in find_references(session, case, SHOWN)
    ]


def find_hottest(session: Session, case: CaseRow) -> int:
    """Give the strangest slice of what a case shows; -1 for none."""
    digest = case.bundle_digest
    finding = None if digest is None else CaseRepository(session).find_finding(case.id, digest)
    scores = finding.slice_scores if finding else []
    return max(range(len(scores)), key=scores.__getitem__) if scores else -1


def _build_line(found: CaseRow, case: CaseRow, hottest: int, reader: Reader) -> ReferenceLine:
    place = _find_place(hottest, case.slice_count or 1, found.slice_count or 1)
    address = f"/api/v1/cases/{found.id}/preview.png?slice={place}&size={_SIZE_PX}&quick=1"
    return ReferenceLine(
        address=f"/cases/{found.id}",
        picture=address,
        score=found.score,
        age=tell_age(found.received_at, reader.now),
    )


def _find_place(hottest: int, count: int, other_count: int) -> int:
    """Give the slice at the same share of the way through the other scan."""
    share = 0.5 if hottest < 0 else hottest / max(count - 1, 1)
    return round(share * (other_count - 1))
