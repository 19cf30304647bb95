"""The runners: threads that take chunks by lease, let them be scored, and keep what came of them.

    runners   take a chunk, score it, commit it; two of them, so that one commits while one scores
    pulse     renews the leases of this process, and notices jobs that are to end

A lease that is not renewed runs out: whatever a killed process left is taken up by another, or by
the next start. Another process may hold the same chunk for a moment then; it is settled by whoever
holds the lease at the commit, and by nobody else.
"""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread
from uuid import UUID

from app.analysis.keeper import Announce
from app.batch.executor import ChunkOrder, ScanExecutor
from app.batch.keeping import choose_cases, keep_chunk
from app.batch.orders import Lease
from app.batch.planning import plan_forsaken
from app.batch.repository import JobRepository
from app.batch.service import LeaseRules, abandon_chunk, end_cancelled, fail_job, lease_chunk
from app.batch.states import JobState
from app.batch.tables import JobRow
from app.clock import Clock
from app.errors import BlobNotFound, EngineError, StorageError
from app.storage.opening import Storage
from models.errors import BundleError, BundleNotFound

_LOG = logging.getLogger(__name__)

_RUNNERS = 2
_PULSE_S = 0.25
_RENEWALS = 4
_SET_ASIDE_S = 60.0


@dataclass(frozen=True, slots=True)
class RunnerRules:
    """How chunks are leased, and how long an idle runner waits before it looks again."""

    leases: LeaseRules
    idle_s: float


class JobRunner:
    """Works on the jobs of the database, beside any other process that does."""

    def __init__(
        self, storage: Storage, executor: ScanExecutor, clock: Clock, rules: RunnerRules
    ) -> None:
        self.rules = rules
        self.announcers: list[Announce] = []
        self._storage = storage
        self._executor = executor
        self._clock = clock
        self._held: dict[Lease, Event] = {}
        self._set_aside: dict[UUID, float] = {}
        self._lock = Lock()
        self._ending = Event()
        self._woken = Event()
        self._threads = [
            Thread(target=self._run, args=[secrets.token_hex(8)], name="runner", daemon=True)
            for _ in range(_RUNNERS)
        ]
        self._threads.append(Thread(target=self._beat, name="pulse", daemon=True))

    def start(self) -> None:
        """Start the threads; jobs that a crash or stop left go on by themselves."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Give what is in work back, for the next start or another process, and end."""
        self._ending.set()
        self._woken.set()
        with self._lock:
            for stopping in self._held.values():
                stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, deadline - time.monotonic()))
        self._executor.close()

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    def work(self, owner: str) -> bool:
        """Settle chunks of one job while there are free ones, and tell whether any was settled."""
        leases = self.rules.leases
        plan_forsaken(self._storage.database, leases.chunk_cases, self._clock.now(), leases.lease)
        job = self._find_job()
        if job is None:
            return False
        if not job.is_dry_run:
            self._storage.watermark.check()
        is_settled = False
        try:
            with self._executor.hold(job.bundle_digest):
                while (lease := self._lease(job.id, owner)) is not None and self._settle(lease):
                    is_settled = True
        except BundleNotFound:
            _LOG.warning("the bundle of a job is not here", extra=_name(job))
            self._set_aside[job.id] = time.monotonic() + _SET_ASIDE_S
        except BundleError as error:
            _LOG.error("the bundle of a job cannot be used", exc_info=error, extra=_name(job))
            with self._storage.database.transaction() as session:
                fail_job(session, job.id, error.code, self._clock.now())
        return is_settled

    def beat(self) -> None:
        """Renew the leases of this process, and give up those that another has taken."""
        for lease, stopping in self._list_held():
            until = self._clock.now() + self.rules.leases.lease
            with self._storage.database.transaction() as session:
                repository = JobRepository(session)
                repository.lock(lease.job_id)
                if not repository.renew(lease, until):
                    stopping.set()

    def _run(self, owner: str) -> None:
        while not self._ending.is_set():
            try:
                is_busy = self._executor.is_ready and self.work(owner)
            except (EngineError, StorageError, BlobNotFound) as error:
                _LOG.warning("jobs cannot go on yet", exc_info=error)
                is_busy = False
            except Exception as error:  # noqa: BLE001 - one chunk must not end all jobs
                _LOG.error("a chunk failed", exc_info=error)
                is_busy = False
            if not is_busy:
                self._woken.wait(self.rules.idle_s)
                self._woken.clear()

    def _find_job(self) -> JobRow | None:
        """Find the oldest job with something to do; nothing is written without need."""
        now, moment = self._clock.now(), time.monotonic()
        absent = [job_id for job_id, until in self._set_aside.items() if until > moment]
        with self._storage.database.reading() as session:
            job = JobRepository(session).find_open(now, absent)
            is_cancelling = bool(JobRepository(session).list_in(JobState.CANCELLING))
        if is_cancelling:
            with self._storage.database.transaction() as session:
                end_cancelled(session, now)
        return job

    def _lease(self, job_id: UUID, owner: str) -> Lease | None:
        if self._ending.is_set():
            return None
        with self._storage.database.transaction() as session:
            return lease_chunk(session, job_id, owner, self.rules.leases, self._clock.now())

    def _settle(self, lease: Lease) -> bool:
        """Score a chunk and keep what came of it; tell whether the job may go on."""
        counts = False
        is_kept = False
        try:
            with self._watch(lease) as stopping:
                is_kept = self._score(lease, stopping)
        except (EngineError, StorageError, BlobNotFound):
            raise
        except Exception:
            counts = True
            raise
        finally:
            if not is_kept:
                self._abandon(lease, counts=counts)
        return is_kept

    def _score(self, lease: Lease, stopping: Event) -> bool:
        if not lease.is_dry_run:
            self._storage.watermark.check()
        with self._storage.database.reading() as session:
            chosen = choose_cases(session, lease)
        order = ChunkOrder(chosen, lease.bundle_digest, keeps_maps=not lease.is_dry_run)
        scored = self._executor.score(order, stopping)
        if scored is None:
            return False
        with self._storage.database.transaction() as session:
            now, blobs = self._clock.now(), self._storage.blobs
            return keep_chunk(session, blobs, lease, scored, now, self.announcers)

    def _abandon(self, lease: Lease, *, counts: bool) -> None:
        with self._storage.database.transaction() as session:
            abandon_chunk(session, lease, self._clock.now(), counts=counts)

    @contextmanager
    def _watch(self, lease: Lease) -> Iterator[Event]:
        """Let the pulse look after a chunk while it is scored."""
        stopping = Event()
        with self._lock:
            self._held[lease] = stopping
        if self._ending.is_set():
            stopping.set()
        try:
            yield stopping
        finally:
            with self._lock:
                self._held.pop(lease, None)

    def _beat(self) -> None:
        """Look at held jobs often, which costs a read; renew leases some times in their life."""
        life_s = self.rules.leases.lease.total_seconds()
        renewed_s = time.monotonic()
        while not self._ending.wait(min(_PULSE_S, life_s / _RENEWALS)):
            try:
                self._stop_cancelled()
                if time.monotonic() - renewed_s >= life_s / _RENEWALS:
                    renewed_s = time.monotonic()
                    self.beat()
            except StorageError as error:
                _LOG.warning("leases cannot be renewed", exc_info=error)
            except Exception as error:  # noqa: BLE001 - without a pulse no chunk would be kept
                _LOG.error("the pulse of jobs failed", exc_info=error)

    def _stop_cancelled(self) -> None:
        held = self._list_held()
        if not held:
            return
        with self._storage.database.reading() as session:
            states = JobRepository(session).list_states({lease.job_id for lease, _ in held})
        for lease, stopping in held:
            if states.get(lease.job_id) != JobState.RUNNING:
                stopping.set()

    def _list_held(self) -> list[tuple[Lease, Event]]:
        with self._lock:
            return list(self._held.items())


def _name(job: JobRow) -> dict[str, dict[str, str]]:
    return {"fields": {"job": str(job.id), "bundle": job.bundle_digest}}
