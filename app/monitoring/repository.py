"""Queries of monitoring: cases counted by what tells them apart, and the scores of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.cases.tables import CaseRow


@dataclass(frozen=True, slots=True)
class MonitoringFilter:
    """Which cases; None lets all pass. `sender` is the id of a key or user."""

    site: str | None = None
    device: str | None = None
    sender: str | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """How many cases share all of this; `week` is its Monday."""

    bundle: str | None
    site: str | None
    device: str | None
    sender: str
    sender_name: str
    week: str
    verdict: str | None
    review: str
    count: int


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """A case of a stream, with what a vote needs."""

    id: UUID
    received_at: datetime
    verdict: str
    score: float
    slice_count: int
    patient_id: str | None


class MonitoringRepository:
    """Cases that show a finding, inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def count_groups(self, wanted: MonitoringFilter) -> list[Group]:
        """Count the cases of all bundles in one walk."""
        keys = (
            CaseRow.bundle_digest,
            CaseRow.site,
            CaseRow.device,
            CaseRow.sender,
            CaseRow.sender_name,
            self._find_week(),
            CaseRow.verdict,
            CaseRow.review,
        )
        conditions = (CaseRow.verdict.is_not(None), *_list_conditions(wanted))
        query = select(*keys, func.count()).where(*conditions).group_by(*keys)
        return [Group(*row) for row in self.session.execute(query)]

    def list_scored(self, wanted: MonitoringFilter, bundle: str, limit: int) -> list[ScoredCase]:
        """List the newest cases that a bundle scored, in the order of their arrival."""
        columns = (
            CaseRow.id,
            CaseRow.received_at,
            CaseRow.verdict,
            CaseRow.score,
            CaseRow.slice_count,
            CaseRow.patient_id,
        )
        conditions = (
            CaseRow.bundle_digest == bundle,
            CaseRow.score.is_not(None),
            CaseRow.slice_count.is_not(None),
            *_list_conditions(wanted),
        )
        query = select(*columns).where(*conditions)
        query = query.order_by(CaseRow.received_at.desc(), CaseRow.id.desc()).limit(limit)
        rows: Sequence[Any] = self.session.execute(query).all()
        return [ScoredCase(*row) for row in reversed(rows)]

    def _find_week(self) -> ColumnElement[str]:
        """Give the Monday of the week, in UTC, as text."""
        if self.session.get_bind().dialect.name == "postgresql":
            local = func.timezone("UTC", CaseRow.received_at)
            return func.to_char(func.date_trunc("week", local), "YYYY-MM-DD")
        return func.date(CaseRow.received_at, "weekday 0", "-6 days")


def _list_conditions(wanted: MonitoringFilter) -> list[ColumnElement[bool]]:
    plain = {
        CaseRow.site: wanted.site,
        CaseRow.device: wanted.device,
        CaseRow.sender: wanted.sender,
    }
    conditions = [column == value for column, value in plain.items() if value is not None]
    if wanted.received_from is not None:
        conditions.append(CaseRow.received_at >= wanted.received_from)
    if wanted.received_before is not None:
        conditions.append(CaseRow.received_at < wanted.received_before)
    return conditions
