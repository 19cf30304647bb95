"""Queries of the audit trail."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit.tables import AuditEntryRow

_LOCK = 0x41554454  # "AUDT"
PAGE = 1000


class AuditRepository:
    """The audit trail inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def lock(self) -> None:
        """Let nobody else append until the commit; in SQLite a writer is alone anyway."""
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def find_last(self) -> AuditEntryRow | None:
        """Give the last entry."""
        query = select(AuditEntryRow).order_by(AuditEntryRow.sequence.desc()).limit(1)
        return self.session.scalar(query)

    def add(self, row: AuditEntryRow) -> None:
        """Append an entry."""
        self.session.add(row)
        self.session.flush()

    def stream_entries(self) -> Iterator[AuditEntryRow]:
        """Go through all entries in order, some at a time."""
        last = 0
        while rows := self._list_after(last):
            yield from rows
            last = rows[-1].sequence
            self.session.expunge_all()

    def list_page(self, before: int | None, limit: int) -> Sequence[AuditEntryRow]:
        """List entries, newest first, older than the one with number `before`."""
        query = select(AuditEntryRow).order_by(AuditEntryRow.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntryRow.sequence < before)
        return self.session.scalars(query).all()

    def list_of_subject(self, subject: str) -> Sequence[AuditEntryRow]:
        """List all entries about one thing, oldest first."""
        query = select(AuditEntryRow).where(AuditEntryRow.subject == subject)
        return self.session.scalars(query.order_by(AuditEntryRow.sequence)).all()

    def _list_after(self, sequence: int) -> Sequence[AuditEntryRow]:
        query = select(AuditEntryRow).where(AuditEntryRow.sequence > sequence)
        return self.session.scalars(query.order_by(AuditEntryRow.sequence).limit(PAGE)).all()
