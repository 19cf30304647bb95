"""Queries of the audit trail."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, insert, select
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
