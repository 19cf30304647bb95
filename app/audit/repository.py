"""Queries of the audit trail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from app.audit.tables import AuditEntryRow

_LOCK = 0x41554454  # "AUDT"
PAGE = 1000

# Built once, run by every upload and every finding.
_HEAD = (
    select(AuditEntryRow.sequence, AuditEntryRow.sha256)
    .order_by(AuditEntryRow.sequence.desc())
    .limit(1)
)
_APPEND = insert(AuditEntryRow)
_COLUMNS = tuple(column.name for column in AuditEntryRow.__table__.columns)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None lets all pass."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    at_from: datetime | None = None
    at_before: datetime | None = None


EVERYTHING = AuditFilter()


class AuditRepository:
    """The audit trail inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def lock(self) -> None:
        """Let nobody else append until the commit; in SQLite a writer is alone anyway."""
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def find_head(self) -> tuple[int, str] | None:
        """Give number and digest of the last entry."""
        row = self.session.connection().execute(_HEAD).one_or_none()
        return None if row is None else (row.sequence, row.sha256)

    def add(self, row: AuditEntryRow) -> None:
        """Append an entry; the session does not keep it, since nobody may change it."""
        values = {name: getattr(row, name) for name in _COLUMNS}
        self.session.connection().execute(_APPEND, values)

    def stream_entries(self) -> Iterator[AuditEntryRow]:
        """Go through all entries in order, some at a time."""
        last = 0
        while rows := self.list_after(EVERYTHING, last, PAGE):
            yield from rows
            last = rows[-1].sequence
            self.session.expunge_all()

    def list_page(
        self, wanted: AuditFilter, before: int | None, limit: int
    ) -> Sequence[AuditEntryRow]:
        """List entries, newest first, older than the one with number `before`."""
        query = select(AuditEntryRow).where(*_list_conditions(wanted))
        query = query.order_by(AuditEntryRow.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntryRow.sequence < before)
        return self.session.scalars(query).all()

    def list_of_subject(self, subject: str) -> Sequence[AuditEntryRow]:
        """List all entries about one thing, oldest first."""
        query = select(AuditEntryRow).where(AuditEntryRow.subject == subject)
        return self.session.scalars(query.order_by(AuditEntryRow.sequence)).all()

    def list_after(self, wanted: AuditFilter, sequence: int, limit: int) -> Sequence[AuditEntryRow]:
        """List entries, oldest first, younger than the one with this number."""
        query = select(AuditEntryRow).where(
            AuditEntryRow.sequence > sequence, *_list_conditions(wanted)
        )
        return self.session.scalars(query.order_by(AuditEntryRow.sequence).limit(limit)).all()


def _list_conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    plain = {
        AuditEntryRow.actor: wanted.actor,
        AuditEntryRow.action: wanted.action,
        AuditEntryRow.subject: wanted.subject,
    }
    conditions = [column == value for column, value in plain.items() if value is not None]
    if wanted.at_from is not None:
        conditions.append(AuditEntryRow.at >= wanted.at_from)
    if wanted.at_before is not None:
        conditions.append(AuditEntryRow.at < wanted.at_before)
    return conditions
