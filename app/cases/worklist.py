"""The worklist: which cases, in which order, and where the next page begins.

A page is found in two steps. The first stays inside one wide index, which holds the sort key, the
id and every filter; it gives ids. The second fetches those few rows. The next page begins after the
key of the last row, so the thousandth page costs what the first does.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_

from app.cases.states import CaseState, ReviewState
from app.cases.tables import CaseRow, CaseTermRow
from app.cases.terms import END, find_terms
from app.errors import InvalidCursor

MAX_PAGE = 200
BROAD_COUNT = 2000


class Sort(StrEnum):
    """Orders of the worklist."""

    SCORE = "score"
    """Flagged, indeterminate, typical, unscored; the strangest of each first."""
    TIME = "time"
    """The newest first."""
    AGE = "age"
    """Those that wait longest first."""
    MODALITY = "modality"
    """By modality, pictures without one last; of each the flagged and strangest first."""


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases; None lets all pass. `text` is searched by the beginnings of words."""

    state: CaseState | None = None
    verdict: str | None = None
    review: ReviewState | None = None
    bundle_digest: str | None = None
    modality: str | None = None
    site: str | None = None
    sender: str | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was asked for."""

    filter: CaseFilter
    sort: Sort
    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class CasePage:
    """A page of cases; `next_cursor` is None on the last one."""

    rows: Sequence[CaseRow]
    next_cursor: str | None


def select_page(page: Page, broad: frozenset[str] = frozenset()) -> Select[CaseRow]:
    """Give the query of a page; it fetches one row more, which tells whether there is a next."""
    key = _find_key(page.sort)
    ids = select(CaseRow.id).where(*list_conditions(page.filter, broad))
    if page.cursor is not None:
        start = tuple_(*_read_cursor(page))
        ids = ids.where(tuple_(*key) > start if page.sort is Sort.AGE else tuple_(*key) < start)
    order = [column.asc() if page.sort is Sort.AGE else column.desc() for column in key]
    ids = ids.order_by(*order).limit(page.limit + 1)
    return select(CaseRow).where(CaseRow.id.in_(ids)).order_by(*order)


def list_conditions(
    wanted: CaseFilter, broad: frozenset[str] = frozenset()
) -> list[ColumnElement[bool]]:
    """Give the conditions of a filter.

    Args:
        wanted: which cases.
        broad: words that very many cases have. A rare word gives the few cases to look at; a broad
            one is asked of each case that comes along, and soon a page is full.
    """
    plain = {
        CaseRow.state: wanted.state,
        CaseRow.verdict: wanted.verdict,
        CaseRow.review: wanted.review,
        CaseRow.bundle_digest: wanted.bundle_digest,
        CaseRow.modality: wanted.modality,
        CaseRow.site: wanted.site,
        CaseRow.sender: wanted.sender,
    }
    conditions = [column == value for column, value in plain.items() if value is not None]
    if wanted.received_from is not None:
        conditions.append(CaseRow.received_at >= wanted.received_from)
    if wanted.received_before is not None:
        conditions.append(CaseRow.received_at < wanted.received_before)
    for term in find_terms(wanted.text):
        hits = select(CaseTermRow.case_id).where(*begins_with(term))
        if term in broad:
            conditions.append(hits.where(CaseTermRow.case_id == CaseRow.id).exists())
        else:
            conditions.append(CaseRow.id.in_(hits))
    return conditions


def begins_with(term: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Give the conditions of a word that begins with these letters, as a range of its index."""
    return (CaseTermRow.term >= term, CaseTermRow.term < term + END)


def cut_page(page: Page, rows: Sequence[CaseRow]) -> CasePage:
    """Take the row too many away and give the cursor of the next page."""
    if len(rows) <= page.limit:
        return CasePage(rows, None)
    shown = rows[: page.limit]
    return CasePage(shown, _write_cursor(page, shown[-1]))


def begin_after(page: Page, row: CaseRow) -> Page:
    """Give the page that begins behind a case, whether or not the filter lets that case pass."""
    return replace(page, cursor=_write_cursor(page, row))


def _find_key(sort: Sort) -> tuple[Any, ...]:
    if sort is Sort.SCORE:
        return (CaseRow.rank_score, CaseRow.id)
    if sort is Sort.MODALITY:
        return (CaseRow.modality_key, CaseRow.rank_score, CaseRow.id)
    return (CaseRow.received_at, CaseRow.id)


def _write_cursor(page: Page, last: CaseRow) -> str:
    values: list[str | float] = [last.received_at.isoformat(timespec="microseconds")]
    if page.sort is Sort.SCORE:
        values = [last.rank_score]
    elif page.sort is Sort.MODALITY:
        values = [last.modality_key, last.rank_score]
    content = json.dumps([_digest(page), *values, last.id.hex], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode()


def _read_cursor(page: Page) -> tuple[str | float | datetime | UUID, ...]:
    try:
        digest, *values, identifier = json.loads(base64.urlsafe_b64decode(page.cursor or ""))
        if digest != _digest(page):
            raise InvalidCursor("the cursor belongs to another filter or sort")
        return (*_read_values(page.sort, values), UUID(hex=identifier))
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise InvalidCursor from None


def _read_values(sort: Sort, values: Sequence[Any]) -> tuple[str | float | datetime, ...]:
    if sort is Sort.MODALITY:
        modality, score = values
        return str(modality), float(score)
    (value,) = values
    if sort is Sort.SCORE:
        return (float(value),)
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise InvalidCursor
    return (instant,)


def _digest(page: Page) -> str:
    # Binds a cursor to its list; what the filter says does not stand in it.
    said = json.dumps([page.sort, asdict(page.filter)], default=str, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
