"""Tables of jobs: what is to be done, what is left of it, which verdicts change, what failed.

The chunks of a job are what is left of it: a chunk is deleted in the transaction that keeps its
results. Whoever changes the chunks of a job holds the job's row.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import SHA256, Table


class JobRow(Table):
    """Scoring cases again under one bundle.

    While it is planned, `plan_last` is the last case that may be of it, and `plan_after` the last
    one that is in a chunk.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state", "state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    bundle_digest: Mapped[str] = mapped_column(ForeignKey("bundles.digest"))
    selection: Mapped[dict[str, Any]]
    is_dry_run: Mapped[bool]
    plan_after: Mapped[UUID | None]
    plan_last: Mapped[UUID | None]
    total_count: Mapped[int]
    done_count: Mapped[int] = mapped_column(default=0)
    failed_count: Mapped[int] = mapped_column(default=0)
    skipped_count: Mapped[int] = mapped_column(default=0)
    flip_count: Mapped[int] = mapped_column(default=0)
    pace: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(64), default="")


class ChunkRow(Table):
    """Some cases of a job that are not settled yet, and who works on them until when."""

    __tablename__ = "job_chunks"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_ids: Mapped[list[Any]]
    owner: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(default=0)


class FlipRow(Table):
    """A case whose verdict under the job's bundle is another than the one it shows."""

    __tablename__ = "job_flips"
    __table_args__ = (Index("ix_job_flips_case_id", "case_id"),)

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    case_id: Mapped[UUID] = mapped_column(
        ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True
    )
    before_bundle: Mapped[str] = mapped_column(SHA256)
    before_verdict: Mapped[str] = mapped_column(String(16))
    before_score: Mapped[float | None]
    before_p_value: Mapped[float | None]
    after_bundle: Mapped[str] = mapped_column(SHA256)
    after_verdict: Mapped[str] = mapped_column(String(16))
    after_score: Mapped[float | None]
    after_p_value: Mapped[float | None]


class FailureRow(Table):
    """A case of a job that cannot be scored; `code` is an error's code word."""

    __tablename__ = "job_failures"
    __table_args__ = (Index("ix_job_failures_case_id", "case_id"),)

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    case_id: Mapped[UUID] = mapped_column(
        ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True
    )
    code: Mapped[str] = mapped_column(String(64))
