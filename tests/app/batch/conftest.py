"""Databases with two bundles, and runners that are driven by hand."""

from collections.abc import Callable
from uuid import UUID

import pytest

from app.batch.executor import ScanExecutor
from app.batch.repository import JobRepository
from app.batch.tables import JobRow
from app.batch.tasks import JobRunner, RunnerRules
from app.storage.database import Database
from app.storage.folder_store import FolderBlobStore
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from tests.builders.rescoring import LEASES, build_scored, order_job, plan_now, register_bundles
from tests.fakes.clock import FakeClock


@pytest.fixture
def storage(database: Database, blobs: FolderBlobStore, clock: FakeClock) -> Storage:
    """Storage with two registered bundles."""
    with database.transaction() as session:
        register_bundles(session, clock)
    return Storage(database, blobs, Watermark((), 0))


@pytest.fixture
def build_runner(storage: Storage, clock: FakeClock) -> Callable[[ScanExecutor], JobRunner]:
    """Build a runner whose threads are not started: a process."""
    return lambda executor: JobRunner(storage, executor, clock, RunnerRules(LEASES, idle_s=0.01))


@pytest.fixture
def plan(storage: Storage, clock: FakeClock) -> Callable[..., JobRow]:
    """Plan a job over so many scored cases."""

    def plan(count: int = 0, **order: object) -> JobRow:
        with storage.database.transaction() as session:
            build_scored(session, count, clock)
        return plan_now(storage, order_job(**order), clock)

    return plan


@pytest.fixture
def find(storage: Storage) -> Callable[[UUID], JobRow]:
    """Read a job as it is."""

    def find(job_id: UUID) -> JobRow:
        with storage.database.reading() as session:
            return JobRepository(session).get(job_id)

    return find
