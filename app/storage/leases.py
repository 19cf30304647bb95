"""Leases: of all processes on one database one does a thing, or says for a while that it lives."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.storage.tables import LeaseRow


def take_lease(session: Session, name: str, now: datetime, until: datetime) -> bool:
    """Take a lease until an instant, if it is free; it is never given back early."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert(LeaseRow) if is_sqlite else postgresql.insert(LeaseRow)
    free = insert.values(name=name, taken_until=now)
    session.execute(free.on_conflict_do_nothing(index_elements=[LeaseRow.name]))
    statement = update(LeaseRow).where(LeaseRow.name == name, LeaseRow.taken_until <= now)
    taken = session.execute(statement.values(taken_until=until).returning(LeaseRow.name))
    return taken.first() is not None


def hold_lease(session: Session, name: str, until: datetime) -> None:
    """Hold a lease that is the caller's alone until an instant, anew or for longer."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert(LeaseRow) if is_sqlite else postgresql.insert(LeaseRow)
    held = insert.values(name=name, taken_until=until)
    session.execute(
        held.on_conflict_do_update(index_elements=[LeaseRow.name], set_={"taken_until": until})
    )


def list_leases(session: Session, prefix: str, now: datetime) -> Sequence[str]:
    """List leases whose names begin so and that have not run out."""
    query = select(LeaseRow.name).where(
        LeaseRow.name.startswith(prefix, autoescape=True), LeaseRow.taken_until > now
    )
    return session.scalars(query).all()


def forget_leases(session: Session, prefix: str, before: datetime) -> None:
    """Delete leases whose names begin so and that ran out before an instant."""
    session.execute(
        delete(LeaseRow).where(
            LeaseRow.name.startswith(prefix, autoescape=True), LeaseRow.taken_until < before
        )
    )
