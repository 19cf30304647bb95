"""The thread that tells findings as DICOM objects, one after the other."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from uuid import UUID

from app.clock import Clock
from app.dicom.errors import NothingToTell
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.dicom.push import list_pushes
from app.dicom.report_making import ReportMaker
from app.dicom.tables import ReportJobRow
from app.errors import StorageError
from app.storage.database import Database
from app.webhooks.service import choose_pause
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

_LEASE = timedelta(minutes=30)
_MAX_ATTEMPTS = 6
_IDLE_S = 1.0


class Reporter:
    """Makes objects of findings that are due, and hands them to the targets."""

    def __init__(
        self,
        database: Database,
        maker: ReportMaker,
        targets: tuple[str, ...],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._database = database
        self._maker = maker
        self._targets = targets
        self._clock = clock
        self._chance = chance
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread; what is not told yet is told after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def tell_due(self) -> bool:
        """Tell one finding that is due, and whether there was one."""
        now = self._clock.now()
        with self._database.transaction() as session:
            rows = JobRepository(session).claim_reports(now, now + _LEASE, 1)
        for row in rows:
            self._tell(row)
        return bool(rows)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                is_busy = self.tell_due()
            except StorageError as error:
                _LOG.warning("reports cannot be read", exc_info=error)
                is_busy = False
            if not is_busy:
                self._stopping.wait(_IDLE_S)

    def _tell(self, row: ReportJobRow) -> None:
        try:
            made = self._maker.make(row.finding_id)
        except NothingToTell:
            self._settle(row.finding_id, JobState.LEFT_OUT, "nothing_to_tell")
        except AegleError as error:
            _LOG.warning("a finding cannot be told", exc_info=error)
            self._postpone(row, error.code)
        else:
            self._keep(row, made)

    def _keep(self, row: ReportJobRow, made: list[str]) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            repository = JobRepository(session)
            kept = repository.find_report(row.finding_id)
            if kept is None:
                return  # the case was deleted meanwhile
            repository.give_results_to_case(made, row.case_id)
            repository.add(*list_pushes(session, row.case_id, made, self._targets, now))
            kept.state, kept.due_at, kept.settled_at = JobState.DONE, None, now
            kept.object_count, kept.failure_code = len(made), None

    def _postpone(self, row: ReportJobRow, code: str) -> None:
        if row.attempt_count >= _MAX_ATTEMPTS:
            self._settle(row.finding_id, JobState.FAILED, code)
            return
        pause = choose_pause(row.attempt_count, self._chance())
        with self._database.transaction() as session:
            kept = JobRepository(session).find_report(row.finding_id)
            if kept is not None:
                kept.due_at, kept.failure_code = self._clock.now() + pause, code[:64]

    def _settle(self, finding_id: UUID, state: JobState, code: str) -> None:
        with self._database.transaction() as session:
            kept = JobRepository(session).find_report(finding_id)
            if kept is not None:
                kept.state, kept.due_at, kept.failure_code = state, None, code[:64]
                kept.settled_at = self._clock.now()
