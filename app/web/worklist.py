"""The worklist as it is read: plain words first, numbers second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from app.cases.tables import CaseRow
from app.cases.worklist import CasePage
from app.web.words import tell_age, tell_failure, tell_name, tell_share_below

PAGE_SIZE = 50
# What stands in addresses; of what people search for, only that there is something kept.
KEPT_SEARCH = "search"
SHOWN_FILTERS = (
    "verdict",
    "review",
    "status",
    "modality",
    "site",
    "bundle",
    "received_from",
    "received_before",
    "sort",
    KEPT_SEARCH,
)
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("To review", {"review": "none"}),
    ("Flagged", {"verdict": "anomalous", "review": "none"}),
    ("Indeterminate", {"verdict": "indeterminate", "review": "none"}),
    ("All", {}),
    ("Waiting", {"status": "queued"}),
    ("Set aside", {"status": "quarantined"}),
)


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case of the list."""

    id: UUID
    address: str
    who: str
    who_id: str
    scan: str
    description: str
    place: str
    age: str
    received_at: datetime
    state: str
    verdict: str | None
    score: float | None
    remark: str
    review: str


@dataclass(frozen=True, slots=True)
class ViewLink:
    """A filter that people use often."""

    text: str
    address: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class WorklistView:
    """A page of the list with its filters."""

    lines: Sequence[CaseLine]
    next_cursor: str | None
    is_first: bool
    filters: Mapping[str, str]
    text: str
    views: Sequence[ViewLink]


def build_worklist(
    page: CasePage, filters: Mapping[str, str], text: str, now: datetime, *, is_first: bool
) -> WorklistView:
    """Prepare a page of the list.

    Args:
        page: the cases.
        filters: those of `SHOWN_FILTERS` that were chosen.
        text: what was searched for.
        now: the present.
        is_first: nothing is before this page.
    """
    return WorklistView(
        lines=[build_line(row, filters, now) for row in page.rows],
        next_cursor=page.next_cursor,
        is_first=is_first,
        filters=filters,
        text=text,
        views=[_link_view(name, wanted, filters) for name, wanted in VIEWS],
    )


def build_line(row: CaseRow, filters: Mapping[str, str], now: datetime) -> CaseLine:
    """Prepare one case of a list."""
    return CaseLine(
        id=row.id,
        address=link_case(row.id, filters),
        who=tell_name(row.patient_name) or row.patient_id or "No name",
        who_id=_tell_id(row),
        scan=_tell_scan(row),
        description=row.description or "",
        place=" · ".join(part for part in (row.site, row.sender_name) if part),
        age=tell_age(row.received_at, now),
        received_at=row.received_at,
        state=row.state,
        verdict=row.verdict,
        score=row.score,
        remark=_remark(row),
        review=row.review,
    )


def link_case(case_id: UUID, filters: Mapping[str, str]) -> str:
    """Give the address of a case, with the list that it is read in."""
    return link_page(f"/cases/{case_id}", filters)


def link_page(path: str, filters: Mapping[str, str]) -> str:
    """Give the address of a page with its filters."""
    query = urlencode({name: value for name, value in filters.items() if value})
    return f"{path}?{query}" if query else path


def _tell_id(row: CaseRow) -> str:
    """Give the id beside a name; where the id stands in the name's place, say so."""
    is_in_place = row.patient_id and not tell_name(row.patient_name)
    return "no name" if is_in_place else row.patient_id or "no id"


def _tell_scan(row: CaseRow) -> str:
    slices = "" if row.slice_count in (None, 1) else f"{row.slice_count} slices"
    parts = [row.modality, (row.body_part or "").capitalize(), slices]
    return " · ".join(part for part in parts if part) or "Picture"


def _remark(row: CaseRow) -> str:
    if row.state == "quarantined":
        return tell_failure(row.failure_code)
    if row.p_value is None:
        return ""
    return f"above {tell_share_below(row.p_value)} of healthy scans"


def _link_view(text: str, wanted: Mapping[str, str], filters: Mapping[str, str]) -> ViewLink:
    compared = ("verdict", "review", "status")
    is_here = all(filters.get(name, "") == wanted.get(name, "") for name in compared)
    kept = {name: value for name, value in filters.items() if name not in compared}
    return ViewLink(text, link_page("/worklist", {"all": "1", **kept, **wanted}), is_here)
