"""The end of the line: outcomes to findings on disk, many cases in one transaction."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread

from sqlalchemy.orm import Session

from app.analysis.findings import PackedFinding, StoredCase, keep_packed, pack_finding
from app.analysis.scan_queue import Examination
from app.cases.repository import CaseRepository
from app.cases.service import quarantine_case
from app.cases.states import CaseState
from app.cases.tables import CaseRow, FindingRow
from app.clock import Clock
from app.errors import BlobNotFound, CaseNotFound, PoisonScan, StorageError
from app.storage.opening import Storage
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

_AT_ONCE = 16
_PACKERS = 4
_SHORTEST_RETRY_S = 0.2
_LONGEST_RETRY_S = 5.0

# Called inside the transaction that keeps a finding which is shown.
Announce = Callable[[Session, CaseRow, FindingRow], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: an examination, or the error that sets it aside."""

    case: StoredCase
    examination: Examination | None
    failure: AegleError | None
    is_shown: bool


class Keeper:
    """One thread that packs maps and commits findings."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        max_outcomes: int,
        when_kept: Callable[[Outcome], None],
    ) -> None:
        """Take what it needs.

        Args:
            storage: where findings and maps go.
            clock: tells when.
            max_outcomes: how many may wait; then the engine waits.
            when_kept: called for each outcome that is on disk, or given up.
        """
        self.announcers: list[Announce] = []
        self.owner: str | None = None
        self._storage = storage
        self._clock = clock
        self._when_kept = when_kept
        self._outcomes: Queue[Outcome | None] = Queue(max_outcomes)
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Keep what waits, then end; while the storage is away nothing is waited for."""
        self._stopping.set()
        self._outcomes.put(None)
        self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        """Whether findings are being kept."""
        return self._thread.is_alive()

    def put(self, outcome: Outcome) -> None:
        """Hand over an outcome, waiting for room."""
        self._outcomes.put(outcome)

    def _run(self) -> None:
        with ThreadPoolExecutor(_PACKERS, thread_name_prefix="packer") as packers:
            is_last = False
            while not is_last:
                outcomes, is_last = self._gather()
                self._keep_until_done(outcomes, packers)

    def _gather(self) -> tuple[list[Outcome], bool]:
        """Wait for outcomes and take those that are there; and whether they are the last."""
        waiting = [self._outcomes.get()]
        while waiting[-1] is not None and len(waiting) < _AT_ONCE:
            try:
                waiting.append(self._outcomes.get_nowait())
            except Empty:
                break
        return [outcome for outcome in waiting if outcome is not None], waiting[-1] is None

    def _keep_until_done(self, outcomes: Sequence[Outcome], packers: ThreadPoolExecutor) -> None:
        """Keep outcomes; while the storage is away, wait for it."""
        pause_s = _SHORTEST_RETRY_S
        while not self._keep(outcomes, packers):
            if self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, _LONGEST_RETRY_S)

    def _keep(self, outcomes: Sequence[Outcome], packers: ThreadPoolExecutor) -> bool:
        """Keep outcomes and tell whether that is settled."""
        try:
            packed = list(packers.map(self._pack, outcomes))
            with self._storage.database.transaction() as session:
                CaseRepository(session).lock_cases([outcome.case.id for outcome in outcomes])
                for outcome, finding in zip(outcomes, packed, strict=True):
                    self._keep_one(session, outcome, finding)
        except (StorageError, BlobNotFound) as error:
            _LOG.warning("findings cannot be kept yet", exc_info=error)
            return False
        except Exception as error:  # noqa: BLE001 - one case that cannot be kept must not end the line
            _LOG.error("findings cannot be kept", exc_info=error)
            if len(outcomes) > 1:
                for outcome in outcomes:
                    self._keep_until_done([outcome], packers)
                return True
        for outcome in outcomes:
            self._when_kept(outcome)
        return True

    def _pack(self, outcome: Outcome) -> PackedFinding | None:
        if outcome.examination is None:
            return None
        return pack_finding(
            self._storage.blobs, outcome.case, outcome.examination, is_shown=outcome.is_shown
        )

    def _keep_one(self, session: Session, outcome: Outcome, packed: PackedFinding | None) -> None:
        try:
            case = CaseRepository(session).get_case(outcome.case.id)
        except CaseNotFound:
            return  # deleted before its finding came
        if outcome.is_shown and case.owner not in {None, self.owner}:
            return  # this process was taken for dead: another has it on its line
        is_told = _shows(case, packed)
        if packed is None:
            if outcome.case.edition not in {None, case.edition}:
                return  # it has grown since; what it is now is still to be looked at
            failure = outcome.failure or PoisonScan()
            quarantine_case(session, case.id, failure.code, self._clock.now())
            return
        row = keep_packed(session, self._storage.blobs, packed, self._clock.now())
        if outcome.is_shown and row.edition == case.edition and not is_told:
            for announce in self.announcers:
                announce(session, case, row)


def _shows(case: CaseRow, packed: PackedFinding | None) -> bool:
    """Tell whether a case shows a finding already: a job may have been quicker than the line."""
    if packed is None or case.state != CaseState.SCORED:
        return False
    finding = packed.finding
    is_of_now = finding.edition in {None, case.edition}
    return is_of_now and case.bundle_digest == finding.bundle_digest
