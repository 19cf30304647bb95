"""Jobs for the tests: an executor that says what it is told, cases that were scored."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.batch.executor import ChunkOrder
from app.batch.keeping import choose_cases, keep_chunk
from app.batch.orders import Lease, NewJob, ScoredCase
from app.batch.planning import create_job, plan_job
from app.batch.repository import CaseNote, JobRepository
from app.batch.service import LeaseRules, lease_chunk
from app.batch.tables import JobRow
from app.bundles.service import NewBundle, move_bundle, register_bundle
from app.bundles.states import BundleState
from app.cases.repository import CaseRepository
from app.cases.schemas import CaseSelection
from app.cases.service import keep_finding
from app.cases.tables import CaseRow, FindingRow
from app.storage.opening import Storage
from tests.builders.cases import BUNDLE, OTHER_BUNDLE, build_case, build_finding
from tests.fakes.clock import FakeClock

LEASES = LeaseRules(chunk_cases=4, lease=timedelta(seconds=30), max_attempts=2)
ADMIN = "user:admin"
ONE, OTHER = "process-1", "process-2"

Answer = Callable[[UUID, str], ScoredCase]


class FakeExecutor:
    """Says of each case what `answer` gives; counts how often each was scored."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or say("typical")
        self.is_ready = True
        self.scored: list[UUID] = []
        self.held: list[str] = []
        self.before_answer: Callable[[], None] = lambda: None

    def hold(self, digest: str) -> AbstractContextManager[None]:
        """Note that a bundle is held."""

        @contextmanager
        def hold() -> Iterator[None]:
            self.held.append(digest)
            yield

        return hold()

    def score(self, order: ChunkOrder, stopping: threading.Event) -> list[ScoredCase] | None:
        """Answer for each case, unless it is to stop."""
        self.before_answer()
        if stopping.is_set():
            return None
        self.scored += order.case_ids
        return [self.answer(case_id, order.bundle_digest) for case_id in order.case_ids]

    def close(self) -> None:
        """End."""


def say(verdict: str, **changes: Any) -> Answer:
    """Give an answer that says the same of every case."""

    def answer(case_id: UUID, digest: str) -> ScoredCase:
        finding = build_finding(bundle_digest=digest, verdict=verdict, **changes)
        return ScoredCase(case_id, finding)

    return answer


def register_bundles(session: Session, clock: FakeClock) -> None:
    """Register two bundles; the first one is live."""
    for digest in (BUNDLE, OTHER_BUNDLE):
        register_bundle(session, NewBundle(digest, "tiny", {}), ADMIN, clock.now())
    move_bundle(session, BUNDLE, BundleState.LIVE, ADMIN, clock.now())


def build_scored(session: Session, count: int, clock: FakeClock, **facts: Any) -> list[CaseRow]:
    """Open cases that the live bundle has called anomalous."""
    cases = []
    for number in range(count):
        content = f"{clock.now()} {facts} {number}".encode()
        case = build_case(session, clock.now(), content, **facts)
        keep_finding(session, case.id, build_finding(), clock.now(), is_shown=True)
        cases.append(case)
    clock.move(1)
    return cases


def order_job(bundle: str = OTHER_BUNDLE, *, is_dry_run: bool = False, **wanted: Any) -> NewJob:
    """Order the scoring of the cases that pass a filter."""
    return NewJob(bundle, CaseSelection(**wanted), is_dry_run, ADMIN)


def plan_now(storage: Storage, order: NewJob, clock: FakeClock) -> JobRow:
    """Make a job and plan it to its end."""
    with storage.database.transaction() as session:
        job = create_job(session, order, clock.now())
    plan_job(storage.database, job.id, LEASES.chunk_cases, clock.now())
    with storage.database.reading() as session:
        return JobRepository(session).get(job.id)


def count_settled(job: JobRow) -> tuple[int, int, int, int]:
    """Give done, failed, skipped, flips."""
    return job.done_count, job.failed_count, job.skipped_count, job.flip_count


def take(storage: Storage, job: JobRow, clock: FakeClock, owner: str = ONE) -> Lease | None:
    """Lease the next chunk of a job."""
    with storage.database.transaction() as session:
        return lease_chunk(session, job.id, owner, LEASES, clock.now())


def keep(storage: Storage, held: Lease, clock: FakeClock, answer: Answer) -> bool:
    """Keep what an answer says of a chunk; tell whether the lease held."""
    with storage.database.transaction() as session:
        chosen = choose_cases(session, held)
        scored = [answer(case_id, held.bundle_digest) for case_id in chosen]
        return keep_chunk(session, storage.blobs, held, scored, clock.now())


def settle(storage: Storage, job: JobRow, clock: FakeClock, answer: Answer | None = None) -> None:
    """Settle all chunks of a job."""
    while (held := take(storage, job, clock)) is not None:
        assert keep(storage, held, clock, answer or say("typical"))
        clock.move(1)


def list_notes(storage: Storage, table: type[CaseNote], job: JobRow) -> Sequence[CaseNote]:
    """List flips or failures of a job."""
    with storage.database.reading() as session:
        return JobRepository(session).list_notes(table, job.id, None, 100)


def list_findings(storage: Storage, case: CaseRow) -> Sequence[FindingRow]:
    """List all findings of a case."""
    with storage.database.reading() as session:
        return CaseRepository(session).list_findings(case.id)


def find_case(storage: Storage, case: CaseRow) -> CaseRow:
    """Read a case as it is."""
    with storage.database.reading() as session:
        return CaseRepository(session).get_case(case.id)
