"""References: confirmed typical cases of other patients, the most like one first."""

from itertools import count
from uuid import UUID

import numpy as np
import pytest

from app.cases.orders import NewReview
from app.cases.references import LIKENESS_PX, build_likeness, find_references
from app.cases.repository import CaseRepository
from app.cases.reviews import review_case
from app.cases.service import keep_finding
from app.cases.states import ReviewState
from app.storage.database import Database
from tests.builders.cases import OTHER_BUNDLE, build_case, build_finding
from tests.fakes.clock import FakeClock

AT = FakeClock().now()
_NUMBERS = count()


def draw(level: float) -> bytes:
    """Give the likeness of an even picture."""
    return build_likeness(np.full((1, 32, 32), level, dtype=np.float32))


def make(database: Database, level: float, **changes) -> UUID:
    """Make a typical case, confirmed unless said otherwise, that was redrawn so bright."""
    review = changes.pop("review", ReviewState.CONFIRMED)
    finding = {"verdict": "typical", "likeness": draw(level), "slice_count": 1}
    finding |= {name: changes.pop(name) for name in ("verdict", "bundle_digest") if name in changes}
    finding["slice_count"] = changes.pop("slice_count", 1)
    with database.transaction() as session:
        case = build_case(session, AT, f"scan {next(_NUMBERS)}".encode(), **changes)
        keep_finding(session, case.id, build_finding(**finding), AT, is_shown=True)
        if review is not ReviewState.NONE:
            review_case(session, case.id, NewReview(review, "", "user:1", "R"), AT)
        return case.id


def find(database: Database, case_id: UUID, limit: int = 3) -> list[tuple[UUID, float]]:
    """Give the references of a case with their distances."""
    with database.reading() as session:
        case = CaseRepository(session).get_case(case_id)
        found = find_references(session, case, limit)
        return [(each.case.id, round(each.distance, 2)) for each in found]


def test_the_most_like_confirmed_typical_cases_come_first(database):
    far, near, nearest = (make(database, level) for level in (0.9, 0.6, 0.5))
    own = make(database, 0.5, verdict="anomalous", review=ReviewState.NONE)

    assert find(database, own) == [(nearest, 0.0), (near, 0.1), (far, 0.4)]
    assert find(database, own, limit=1) == [(nearest, 0.0)]


@pytest.mark.parametrize(
    "changes",
    [
        {"review": ReviewState.NONE},
        {"review": ReviewState.DISMISSED},
        {"review": ReviewState.UNSURE},
        {"verdict": "anomalous"},
        {"bundle_digest": OTHER_BUNDLE},
        {"modality": "CT"},
        {"body_part": "CHEST"},
        {"slice_count": 20},
        {"patient_id": "own"},
    ],
    ids=str,
)
def test_what_is_not_confirmed_typical_or_of_another_kind_is_no_reference(database, changes):
    make(database, 0.5, **changes)
    own = make(database, 0.5, verdict="anomalous", patient_id="own")

    assert find(database, own) == []


def test_a_case_without_finding_has_no_references(database):
    make(database, 0.5)
    with database.transaction() as session:
        own = build_case(session, AT, b"waits").id

    assert find(database, own) == []


@pytest.mark.parametrize("side", [16, 24, 32, 100])
def test_a_likeness_has_one_size_whatever_the_network_and_the_slices(side):
    picture = np.linspace(0.0, 1.0, 3 * side * side, dtype=np.float32).reshape(3, side, side)

    likeness = np.frombuffer(build_likeness(picture), dtype=np.uint8)

    assert likeness.size == LIKENESS_PX**2
    assert likeness[-1] > likeness[0]
