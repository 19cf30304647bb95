"""Queries of the bundle registry."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.bundles.states import BundleState
from app.bundles.tables import BundleMoveRow, BundleReportRow, BundleRow
from app.errors import BundleNotRegistered

_LOCK = 0x42554E44  # "BUND"


class BundleRepository:
    """The registry inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def lock(self) -> None:
        """Let nobody else move a bundle until the commit; in SQLite a writer is alone anyway."""
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def add(self, row: BundleRow | BundleMoveRow) -> None:
        """Insert a row."""
        self.session.add(row)
        self.session.flush()

    def find(self, digest: str) -> BundleRow | None:
        """Find a bundle."""
        return self.session.get(BundleRow, digest)

    def get(self, digest: str) -> BundleRow:
        """Give a bundle.

        Raises:
            BundleNotRegistered: there is none with this digest.
        """
        row = self.find(digest)
        if row is None:
            raise BundleNotRegistered
        return row

    def find_in(self, state: BundleState) -> BundleRow | None:
        """Find the bundle that is live, or candidate."""
        return self.session.scalar(select(BundleRow).where(BundleRow.state == state))

    def list_all(self) -> Sequence[BundleRow]:
        """List all bundles, the newest first."""
        query = select(BundleRow).order_by(BundleRow.added_at.desc(), BundleRow.digest)
        return self.session.scalars(query).all()

    def list_moves(self) -> Sequence[BundleMoveRow]:
        """List all changes of state, the oldest first."""
        query = select(BundleMoveRow).order_by(BundleMoveRow.sequence)
        return self.session.scalars(query).all()

    def find_report(self, digest: str) -> BundleReportRow | None:
        """Find the evaluation report of a bundle."""
        return self.session.get(BundleReportRow, digest)

    def keep_report(self, row: BundleReportRow) -> None:
        """Keep a report in place of the one before."""
        self.session.merge(row)
        self.session.flush()

    def find_since(self, digest: str, state: BundleState) -> datetime | None:
        """Find when a bundle came into a state last; None if it never did."""
        query = select(func.max(BundleMoveRow.at)).where(
            BundleMoveRow.digest == digest, BundleMoveRow.state == state
        )
        return self.session.scalar(query)

    def find_live_before(self, digest: str) -> str | None:
        """Find the bundle that was live most recently and is another one."""
        query = (
            select(BundleMoveRow.digest)
            .where(BundleMoveRow.state == BundleState.LIVE, BundleMoveRow.digest != digest)
            .order_by(BundleMoveRow.sequence.desc())
            .limit(1)
        )
        return self.session.scalar(query)
