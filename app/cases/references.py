"""References: typical cases that readers confirmed, the most like one first.

Nothing of the training leaves a bundle: references are cases of this service, which whoever asks
may read anyway. Two cases are like when one bundle redrew them alike, in a coarse picture: what is
strange about a scan is not in what was redrawn, so a flagged case finds the healthy ones it
resembles apart from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from app.cases.states import CaseState, ReviewState
from app.cases.tables import CaseRow, FindingRow

LIKENESS_PX = 16
MAX_COMPARED = 400
_LEVELS = 255.0


@dataclass(frozen=True, slots=True)
class Reference:
    """A case to compare with; `distance` 0..1, root mean square of the coarse pictures."""

    case: CaseRow
    distance: float


def build_likeness(reconstruction: NDArray[np.float32]) -> bytes:
    """Give the coarse picture of a reconstruction, a byte a pixel.

    Args:
        reconstruction: float32 [S, H, W], 0..1, share of the intensity window.
    """
    mean = reconstruction.mean(axis=0)
    for axis in (0, 1):
        parts = np.array_split(mean, LIKENESS_PX, axis=axis)
        mean = np.stack([part.mean(axis=axis) for part in parts if part.size], axis=axis)
    return np.asarray(np.clip(mean, 0.0, 1.0) * _LEVELS).round().astype(np.uint8).tobytes()


def find_references(session: Session, case: CaseRow, limit: int) -> Sequence[Reference]:
    """Find confirmed typical cases of the same kind under the same bundle, of other patients."""
    query = select(FindingRow.likeness).where(*_is_shown(), CaseRow.id == case.id)
    own = session.scalar(query)
    if own is None:
        return []
    rows = session.execute(_select_candidates(case)).all()
    fitting = [(row, likeness) for row, likeness in rows if likeness and len(likeness) == len(own)]
    if not fitting:
        return []
    distances = _measure([likeness for _, likeness in fitting], own)
    nearest = np.argsort(distances, kind="stable")[:limit]
    return [Reference(fitting[place][0], float(distances[place])) for place in nearest]


def _select_candidates(case: CaseRow) -> Select[CaseRow, bytes | None]:
    is_single = (case.slice_count or 1) == 1
    query = select(CaseRow, FindingRow.likeness).where(
        *_is_shown(),
        CaseRow.id != case.id,
        CaseRow.state == CaseState.SCORED,
        CaseRow.verdict == "typical",
        CaseRow.review == ReviewState.CONFIRMED,
        CaseRow.bundle_digest == case.bundle_digest,
        CaseRow.modality.is_not_distinct_from(case.modality),
        CaseRow.body_part.is_not_distinct_from(case.body_part),
        CaseRow.slice_count == 1 if is_single else CaseRow.slice_count > 1,
    )
    if case.patient_id:
        query = query.where(
            or_(CaseRow.patient_id.is_(None), CaseRow.patient_id != case.patient_id)
        )
    return query.order_by(CaseRow.received_at.desc(), CaseRow.id.desc()).limit(MAX_COMPARED)


def _is_shown() -> tuple[ColumnElement[bool], ...]:
    return (
        FindingRow.case_id == CaseRow.id,
        FindingRow.bundle_digest == CaseRow.bundle_digest,
        FindingRow.edition == CaseRow.edition,
    )


def _measure(others: Sequence[bytes], own: bytes) -> NDArray[np.float64]:
    """Give the root mean square distance of each, 0..1."""
    pictures = np.frombuffer(b"".join(others), dtype=np.uint8).reshape(len(others), -1)
    apart = (pictures.astype(np.float64) - np.frombuffer(own, dtype=np.uint8)) / _LEVELS
    return np.asarray(np.sqrt(np.mean(np.square(apart), axis=1)))
