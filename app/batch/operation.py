"""What callers may do with jobs: each a transaction, and a word to the runners."""

from collections.abc import Sequence
from uuid import UUID

from app.batch.orders import NewJob
from app.batch.planning import create_job, plan_job
from app.batch.repository import CaseNote, JobRepository
from app.batch.schemas import JobList, JobView, RescoreBody
from app.batch.service import cancel_job
from app.batch.states import JobState
from app.batch.tasks import JobRunner
from app.bundles.folder import BundleFolder
from app.bundles.repository import BundleRepository
from app.clock import Clock
from app.storage.opening import Storage


class JobOperator:
    """Plans, shows and cancels jobs."""

    def __init__(
        self, storage: Storage, bundles: BundleFolder, runner: JobRunner, clock: Clock
    ) -> None:
        self._storage = storage
        self._bundles = bundles
        self._runner = runner
        self._clock = clock

    def rescore(self, body: RescoreBody, by: str) -> JobView:
        """Plan the scoring of cases under a bundle.

        Raises:
            BundleNotRegistered: there is no such bundle.
            BundleNotFound: it is registered, and not on this machine.
            StorageFull: there is no room for findings.
        """
        if not body.is_dry_run:
            self._storage.watermark.check()
        with self._storage.database.reading() as session:
            BundleRepository(session).get(body.bundle)
        self._bundles.find(body.bundle)
        new = NewJob(body.bundle, body.filter, body.is_dry_run, by)
        now = self._clock.now()
        with self._storage.database.transaction() as session:
            job = create_job(session, new, now)
        plan_job(self._storage.database, job.id, self._runner.rules.leases.chunk_cases, now)
        self._runner.wake()
        return self.show(job.id)

    def cancel(self, job_id: UUID, by: str) -> JobView:
        """End a job early.

        Raises:
            JobNotFound: there is none.
            MoveNotAllowed: it is done or failed.
        """
        now = self._clock.now()
        with self._storage.database.transaction() as session:
            view = JobView.build(cancel_job(session, job_id, by, now), now)
        self._runner.wake()
        return view

    def measure(self) -> tuple[int, int]:
        """Count open jobs, dry runs aside, and their cases that are not settled."""
        with self._storage.database.reading() as session:
            return JobRepository(session).count_left()

    def show(self, job_id: UUID) -> JobView:
        """Give a job as it is at this moment.

        Raises:
            JobNotFound: there is none.
        """
        with self._storage.database.reading() as session:
            return JobView.build(JobRepository(session).get(job_id), self._clock.now())

    def list_jobs(
        self, before: UUID | None, limit: int, state: JobState | None, bundle: str | None
    ) -> JobList:
        """Give a page of jobs, the newest first, in a state and under a bundle if one is given."""
        with self._storage.database.reading() as session:
            rows = JobRepository(session).list_page(before, limit + 1, state, bundle)
            items = [JobView.build(row, self._clock.now()) for row in rows[:limit]]
        return JobList(items=items, next_cursor=items[-1].id.hex if len(rows) > limit else None)

    def list_notes(
        self, table: type[CaseNote], job_id: UUID, after: UUID | None, limit: int
    ) -> Sequence[CaseNote]:
        """Give flips or failures of a job.

        Raises:
            JobNotFound: there is none.
        """
        with self._storage.database.reading() as session:
            JobRepository(session).get(job_id)
            return JobRepository(session).list_notes(table, job_id, after, limit)
