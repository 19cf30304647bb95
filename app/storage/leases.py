"""Leases: of all processes on one database one does a thing, at most once in a while."""

from datetime import datetime

from sqlalchemy import update
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
