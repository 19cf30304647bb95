"""Tables of the registry: which bundles there are, and which one was live when."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import SHA256, Table

_IS_LIVE = text("state = 'live'")
_IS_CANDIDATE = text("state = 'candidate'")


class BundleRow(Table):
    """A bundle that the service knows; the database lets one be live and one be candidate."""

    __tablename__ = "bundles"
    __table_args__ = (
        Index(
            "uq_bundles_live",
            "state",
            unique=True,
            sqlite_where=_IS_LIVE,
            postgresql_where=_IS_LIVE,
        ),
        Index(
            "uq_bundles_candidate",
            "state",
            unique=True,
            sqlite_where=_IS_CANDIDATE,
            postgresql_where=_IS_CANDIDATE,
        ),
    )

    digest: Mapped[str] = mapped_column(SHA256, primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    summary: Mapped[dict[str, Any]]
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(64))


class BundleReportRow(Table):
    """The evaluation report of a bundle; a later one takes its place."""

    __tablename__ = "bundle_reports"

    digest: Mapped[str] = mapped_column(ForeignKey("bundles.digest"), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="RESTRICT"), index=True)
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(64))


class BundleMoveRow(Table):
    """One change of a bundle's state, kept for rollback and for the history of verdicts."""

    __tablename__ = "bundle_moves"

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(ForeignKey("bundles.digest"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(64))
