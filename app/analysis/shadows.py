"""Scoring by the candidate, beside the live bundle: at once where there is room, else made up."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, Full, Queue
from threading import Event, Thread
from uuid import UUID

from app.analysis.decoders import Decoders, find_case_files
from app.analysis.engine import Engine
from app.analysis.findings import StoredCase
from app.analysis.scan_queue import Examination, Lane
from app.bundles.repository import BundleRepository
from app.bundles.states import BundleState
from app.cases.repository import CaseRepository
from app.clock import Clock
from app.errors import CaseNotFound, EngineError, QueueFull, StorageError
from app.storage.leases import take_lease
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

MOST_WAITING = 10_000
EVERY = timedelta(seconds=60)
SETTLED = timedelta(seconds=60)  # what was scored since then the candidate may be scoring just now
_LEASE = "shadows"
_ROOM_WAIT_S = 600.0
_LOOK_S = 0.5

Note = Callable[[StoredCase, "Future[Examination]"], None]


@dataclass(frozen=True, slots=True)
class _Debt:
    """A case that a candidate has still to score."""

    case: StoredCase
    digest: str


class ShadowLine:
    """Sees to it that the candidate scores what the live bundle scores; concerns nobody else.

    A scan that finds no room is decoded again later, by a thread that keeps one scan in hand. What
    it misses (too many wait, the service stopped, another process died) is found in the database
    by one of the processes, each minute, and tried once by each.
    """

    def __init__(
        self, storage: Storage, engine: Engine, decoders: Decoders, clock: Clock, note: Note
    ) -> None:
        self._clock = clock
        self._tried: set[tuple[UUID, str]] = set()
        self._storage = storage
        self._engine = engine
        self._decoders = decoders
        self._note = note
        self._debts: Queue[_Debt] = Queue(MOST_WAITING)
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="shadows", daemon=True)
        self.missed_count = 0

    def start(self) -> None:
        """Start the thread that makes up for what found no room."""
        self._thread.start()

    def stop(self) -> None:
        """Make up no more; what waits is found by another process, or by the next start."""
        self._stopping.set()

    @property
    def waiting_count(self) -> int:
        """How many cases the candidate has still to score."""
        return self._debts.qsize()

    def score(self, case: StoredCase, scan: DecodedScan) -> None:
        """Let the candidate score a scan, if there is one; never waits."""
        digest = self._engine.candidate
        if digest is None:
            return
        try:
            self._submit(case, scan, digest, 0.0)
        except QueueFull:
            self._owe(_Debt(case, digest))
        except EngineError as error:
            self._miss(error)

    def catch_up(self) -> int:
        """Find what the candidate never scored, unless another process does, and count it."""
        digest, now = self._engine.candidate, self._clock.now()
        if digest is None:
            return 0
        with self._storage.database.transaction() as session:
            if not take_lease(session, _LEASE, now, now + EVERY):
                return 0
        with self._storage.database.reading() as session:
            since = BundleRepository(session).find_since(digest, BundleState.CANDIDATE)
            query = CaseRepository(session)
            unseen = since and query.list_unseen(digest, since, now - SETTLED, MOST_WAITING)
        owed = 0
        for case_id, edition in unseen or ():
            if (case_id, digest) not in self._tried:
                self._tried.add((case_id, digest))
                self._owe(_Debt(StoredCase(case_id, edition), digest))
                owed += 1
        return owed

    def _owe(self, debt: _Debt) -> None:
        try:
            self._debts.put_nowait(debt)
        except Full as error:
            self._miss(error)

    def _run(self) -> None:
        looked_s = float("-inf")
        while not self._stopping.is_set():
            try:
                debt = self._debts.get(timeout=_LOOK_S)
            except Empty:
                if self._engine.candidate and time.monotonic() - looked_s > EVERY.total_seconds():
                    looked_s = time.monotonic()
                    self._look()
                continue
            try:
                self._pay(debt)
            except AegleError as error:
                self._miss(error)

    def _look(self) -> None:
        try:
            self.catch_up()
        except StorageError as error:
            _LOG.warning("what the candidate missed cannot be found yet", exc_info=error)

    def _pay(self, debt: _Debt) -> None:
        if self._engine.candidate != debt.digest:
            raise EngineError("the candidate changed meanwhile")
        stored = find_case_files(self._storage, debt.case.id)
        if debt.case.edition not in {None, stored.edition}:
            raise CaseNotFound("the case has grown: it is scored anew")
        # Waits with the scan in hand and no decoder: uploads must not wait for shadows.
        self._submit(debt.case, self._decoders.decode(stored.files), debt.digest, _ROOM_WAIT_S)

    def _submit(self, case: StoredCase, scan: DecodedScan, digest: str, timeout_s: float) -> None:
        task = self._engine.submit(scan, Lane.BACKGROUND, digest, timeout_s)
        task.future.add_done_callback(lambda done: self._note(case, done))

    def _miss(self, error: Exception) -> None:
        self.missed_count += 1
        _LOG.warning("a scan was not scored by the candidate", exc_info=error)
