"""Rows of blobs: which are known, which nobody refers to any more.

References are found in the database itself, not in the Python tables: a module that was not
imported cannot make its blobs look unreferenced. And the foreign keys stand behind it: the
database refuses to forget a blob that a row refers to.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import column, delete, exists, inspect, select, table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import ColumnClause, ColumnElement

from app.storage.blobs import StoredBlob
from app.storage.tables import BlobRow

PAGE = 1000


def _build_touch(
    insert: "sqlite.Insert | postgresql.Insert",
) -> "sqlite.Insert | postgresql.Insert":
    young = {"touched_at": insert.excluded.touched_at}
    return insert.on_conflict_do_update(index_elements=["sha256"], set_=young)


# Built once: every upload runs it several times, and building costs more than running.
_TOUCHES = {
    "sqlite": _build_touch(sqlite.insert(BlobRow)),
    "postgresql": _build_touch(postgresql.insert(BlobRow)),
}


class BlobRepository:
    """The table of blobs inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def touch(self, blobs: Sequence[StoredBlob], at: datetime) -> None:
        """Insert rows of blobs or make them young again; locks the rows until the commit."""
        touch = _TOUCHES[self.session.get_bind().dialect.name]
        values = [
            {"sha256": blob.sha256, "size_bytes": blob.size_bytes, "touched_at": at}
            for blob in blobs
        ]
        self.session.connection().execute(touch, values)

    def adopt(self, blob: StoredBlob, at: datetime) -> None:
        """Insert the row of a blob that only the store knows."""
        insert = self._insert().values(
            sha256=blob.sha256, size_bytes=blob.size_bytes, touched_at=at
        )
        self.session.execute(insert.on_conflict_do_nothing(index_elements=[BlobRow.sha256]))

    def is_known(self, sha256: str) -> bool:
        """Tell whether there is a row."""
        return self.session.get(BlobRow, sha256) is not None

    def list_unreferenced(self, before: datetime) -> Sequence[StoredBlob]:
        """List blobs that no row refers to and nobody touched since."""
        query = select(BlobRow).where(BlobRow.touched_at < before, *self._unreferenced())
        rows = self.session.scalars(query.order_by(BlobRow.sha256))
        return [StoredBlob(row.sha256, row.size_bytes) for row in rows]

    def forget(self, sha256: str, before: datetime) -> bool:
        """Delete the row of a blob if it is still unreferenced and old; locks out uploads of it."""
        found = self.session.scalar(
            select(BlobRow).where(BlobRow.sha256 == sha256).with_for_update()
        )
        if found is None:
            return False
        statement = delete(BlobRow).where(
            BlobRow.sha256 == sha256, BlobRow.touched_at < before, *self._unreferenced()
        )
        return bool(self.session.execute(statement.returning(BlobRow.sha256)).all())

    def stream_blobs(self) -> Iterator[StoredBlob]:
        """Go through all rows, some at a time, in the order of their digests."""
        last = ""
        while True:
            query = select(BlobRow).where(BlobRow.sha256 > last).order_by(BlobRow.sha256)
            rows = self.session.scalars(query.limit(PAGE)).all()
            yield from (StoredBlob(row.sha256, row.size_bytes) for row in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].sha256
            self.session.expunge_all()

    def _unreferenced(self) -> list[ColumnElement[bool]]:
        inspector = inspect(self.session.connection())
        conditions: list[ColumnElement[bool]] = []
        for name in inspector.get_table_names():
            for key in inspector.get_foreign_keys(name):
                if key["referred_table"] == BlobRow.__tablename__:
                    reference: ColumnClause[str] = column(key["constrained_columns"][0])
                    source = table(name, reference)
                    conditions.append(
                        ~exists()
                        .select_from(source)
                        .where(source.c[reference.name] == BlobRow.sha256)
                    )
        return conditions

    def _insert(self) -> "sqlite.Insert | postgresql.Insert":
        if self.session.get_bind().dialect.name == "sqlite":
            return sqlite.insert(BlobRow)
        return postgresql.insert(BlobRow)
