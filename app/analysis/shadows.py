"""Scoring by the candidate, beside the live bundle: at once where there is room, else made up."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

from app.analysis.decoders import Decoders, find_case_files
from app.analysis.engine import Engine
from app.analysis.findings import StoredCase
from app.analysis.scan_queue import Examination, Lane
from app.errors import CaseNotFound, EngineError, QueueFull
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

MOST_WAITING = 10_000
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
    is not scored in the end (the candidate changed, too many wait, the service stopped) is counted.
    """

    def __init__(self, storage: Storage, engine: Engine, decoders: Decoders, note: Note) -> None:
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
        """Make up no more; what waits is missed."""
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

    def _owe(self, debt: _Debt) -> None:
        try:
            self._debts.put_nowait(debt)
        except Full as error:
            self._miss(error)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                debt = self._debts.get(timeout=_LOOK_S)
            except Empty:
                continue
            try:
                self._pay(debt)
            except AegleError as error:
                self._miss(error)

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
