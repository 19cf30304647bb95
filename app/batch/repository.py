"""Queries of jobs."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from app.batch.orders import Lease
from app.batch.states import OPEN, JobState
from app.batch.tables import ChunkRow, FailureRow, FlipRow, JobRow
from app.errors import JobNotFound

CaseNote = TypeVar("CaseNote", FlipRow, FailureRow)


class JobRepository:
    """Jobs and their chunks inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, *rows: JobRow | FlipRow | FailureRow) -> None:
        """Insert rows."""
        self.session.add_all(rows)
        self.session.flush()

    # jobs

    def get(self, job_id: UUID) -> JobRow:
        """Give a job.

        Raises:
            JobNotFound: there is none.
        """
        row = self.session.get(JobRow, job_id)
        if row is None:
            raise JobNotFound
        return row

    def lock(self, job_id: UUID) -> JobRow:
        """Give a job whose chunks nobody else changes until the commit.

        Raises:
            JobNotFound: there is none.
        """
        query = select(JobRow).where(JobRow.id == job_id).with_for_update()
        row = self.session.scalar(query, execution_options={"populate_existing": True})
        if row is None:
            raise JobNotFound
        return row

    def list_page(
        self, before: UUID | None, limit: int, state: JobState | None, bundle: str | None
    ) -> Sequence[JobRow]:
        """List jobs, the newest first, older than `before`, in a state and under a bundle."""
        query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
        if state is not None:
            query = query.where(JobRow.state == state)
        if bundle is not None:
            query = query.where(JobRow.bundle_digest == bundle)
        if before is not None:
            query = query.where(JobRow.id < before)
        return self.session.scalars(query).all()

    def list_states(self, job_ids: Collection[UUID]) -> dict[UUID, JobState]:
        """Tell the states of some jobs."""
        query = select(JobRow.id, JobRow.state).where(JobRow.id.in_(job_ids))
        return {job_id: JobState(state) for job_id, state in self.session.execute(query)}

    def list_in(self, state: JobState) -> Sequence[UUID]:
        """List the jobs in a state, the oldest first."""
        query = select(JobRow.id).where(JobRow.state == state).order_by(JobRow.id)
        return self.session.scalars(query).all()

    def find_open(self, now: datetime, but_not: Collection[UUID]) -> JobRow | None:
        """Find the oldest job with a chunk that nobody works on."""
        has_free_chunk = exists().where(ChunkRow.job_id == JobRow.id, _is_free(now))
        query = select(JobRow).where(
            JobRow.state.in_(OPEN),
            JobRow.plan_last.is_(None),
            JobRow.id.not_in(but_not),
            has_free_chunk,
        )
        return self.session.scalar(query.order_by(JobRow.id).limit(1))

    def find_unplanned(self, made_before: datetime) -> UUID | None:
        """Find the oldest job that was made before an instant and is not planned to its end."""
        query = select(JobRow.id).where(
            JobRow.state == JobState.WAITING,
            JobRow.plan_last.is_not(None),
            JobRow.created_at < made_before,
        )
        return self.session.scalar(query.order_by(JobRow.id).limit(1))

    def count_left(self) -> tuple[int, int]:
        """Count open jobs, dry runs aside, and their cases that are not settled."""
        settled = JobRow.done_count + JobRow.failed_count + JobRow.skipped_count
        left = func.coalesce(func.sum(JobRow.total_count - settled), 0)
        query = select(func.count(), left).where(JobRow.state.in_(OPEN), ~JobRow.is_dry_run)
        jobs, cases = self.session.execute(query).one()
        return int(jobs), int(cases)

    # chunks

    def add_chunks(self, job_id: UUID, first: int, chunks: Sequence[Sequence[UUID]]) -> None:
        """Append chunks, numbered from `first`."""
        rows: list[dict[str, Any]] = [
            {
                "job_id": job_id,
                "number": number,
                "case_ids": [str(case_id) for case_id in case_ids],
                "attempt_count": 0,
            }
            for number, case_ids in enumerate(chunks, first)
        ]
        if rows:
            self.session.execute(insert(ChunkRow), rows)

    def find_last_number(self, job_id: UUID) -> int:
        """Give the highest number of a chunk that is left."""
        query = select(func.max(ChunkRow.number)).where(ChunkRow.job_id == job_id)
        return self.session.scalar(query) or 0

    def find_free(self, job_id: UUID, now: datetime) -> ChunkRow | None:
        """Find the first chunk of a locked job that nobody works on."""
        query = (
            select(ChunkRow)
            .where(ChunkRow.job_id == job_id, _is_free(now))
            .order_by(ChunkRow.number)
            .limit(1)
        )
        return self.session.scalar(query, execution_options={"populate_existing": True})

    def find_leased(self, lease: Lease) -> ChunkRow | None:
        """Find the chunk of a lease; None once another has it, or it is settled or deleted."""
        query = select(ChunkRow).where(
            ChunkRow.job_id == lease.job_id,
            ChunkRow.number == lease.number,
            ChunkRow.owner == lease.owner,
        )
        return self.session.scalar(query, execution_options={"populate_existing": True})

    def renew(self, lease: Lease, until: datetime) -> bool:
        """Prolong a lease on a chunk of a locked job, and tell whether it still holds."""
        chunk = self.find_leased(lease)
        if chunk is not None:
            chunk.leased_until = until
        return chunk is not None

    def forget_chunk(self, chunk: ChunkRow) -> None:
        """Delete a chunk that is settled."""
        self.session.delete(chunk)
        self.session.flush()

    def forget_free(self, job_id: UUID, now: datetime) -> None:
        """Delete the chunks of a locked job that nobody works on."""
        self.session.execute(delete(ChunkRow).where(ChunkRow.job_id == job_id, _is_free(now)))

    def forget_all(self, job_id: UUID) -> None:
        """Delete all chunks of a locked job."""
        self.session.execute(delete(ChunkRow).where(ChunkRow.job_id == job_id))

    def has_chunks(self, job_id: UUID) -> bool:
        """Tell whether something of a job is left."""
        query = select(ChunkRow.number).where(ChunkRow.job_id == job_id).limit(1)
        return self.session.scalar(query) is not None

    # what came of cases

    def list_notes(
        self, table: type[CaseNote], job_id: UUID, after: UUID | None, limit: int
    ) -> Sequence[CaseNote]:
        """List flips or failures of a job in the order of their cases."""
        query = select(table).where(table.job_id == job_id).order_by(table.case_id).limit(limit)
        if after is not None:
            query = query.where(table.case_id > after)
        return self.session.scalars(query).all()


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(ChunkRow.leased_until.is_(None), ChunkRow.leased_until <= now)
