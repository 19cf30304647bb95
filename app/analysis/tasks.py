"""The scoring line: accepted cases through decoders and engine to findings on disk.

A case that is on the line is in the database as queued, and names this process: whatever is lost
with it is found there by another process, or by the next start. Threads of the line:

    readers    decode stored cases, those that a start found or that came in an archive
    shadows    makes up for what the candidate had no room to score (shadows.py)
    engine     examines micro-batches (engine.py)
    keeper     packs maps and commits findings (keeper.py)
    pulse      says that this process lives, so that no other scores what is on its line (pulse.py)
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread
from uuid import UUID

from app.analysis.decoders import Decoders, decode_files, find_case_files
from app.analysis.engine import Engine
from app.analysis.findings import StoredCase
from app.analysis.keeper import Keeper, Outcome
from app.analysis.pulse import LinePulse
from app.analysis.scan_queue import Examination, Lane
from app.analysis.shadows import ShadowLine
from app.cases.claims import Claim, claim_cases, list_claimable
from app.clock import Clock
from app.errors import CaseNotFound, EngineError, PoisonScan, QueueFull, StorageError
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan
from models.errors import AegleError, DecodeError

_LOG = logging.getLogger(__name__)

_ROOM_WAIT_S = 600.0
_RETRY_S = 2.0
_HANDING_OVER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How many cases may be on the line before uploads are refused, and starts before it ends.

    `lease`: how long the cases of a process that died wait for another.
    """

    max_cases: int
    max_attempts: int
    lease: timedelta


class ScoringLine:
    """Takes cases that are in the database, and sees to it that each gets its finding."""

    def __init__(
        self, storage: Storage, engine: Engine, decoders: Decoders, clock: Clock, limits: LineLimits
    ) -> None:
        self.engine = engine
        self.decoders = decoders
        self.pulse = LinePulse(storage, clock, limits.lease)
        self.keeper = Keeper(storage, clock, limits.max_cases, self._settle)
        self.keeper.owner = self.pulse.owner
        self.shadows = ShadowLine(
            storage, engine, decoders, clock, partial(self._note, is_shown=False)
        )
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._lock = Lock()
        self._places = 0
        self._watched: dict[UUID, Future[None]] = {}
        self._stored: SimpleQueue[UUID | None] = SimpleQueue()
        self._stopping = Event()
        self._readers: list[Thread] = []

    def start(self, reader_count: int) -> None:
        """Start the threads of the line."""
        self.pulse.start()
        self.keeper.start()
        self.shadows.start()
        for number in range(reader_count):
            reader = Thread(target=self._read, name=f"reader-{number}", daemon=True)
            reader.start()
            self._readers.append(reader)

    def stop(self, timeout_s: float) -> None:
        """Score what is on the line, then end; the next start scores what was not done in time."""
        deadline = time.monotonic() + timeout_s
        while self._watched and time.monotonic() < deadline and self.engine.is_ready:
            time.sleep(0.01)
        self._stopping.set()
        self.shadows.stop()
        for _ in self._readers:
            self._stored.put(None)
        self.engine.stop(max(0.1, deadline - time.monotonic()))
        self.keeper.stop(max(0.1, deadline - time.monotonic()))
        self.pulse.stop()

    @property
    def owner(self) -> str:
        """What cases name that this process puts on its line."""
        return self.pulse.owner

    @property
    def case_count(self) -> int:
        """How many cases are on the line."""
        return len(self._watched)

    def take_place(self) -> None:
        """Hold a place for an upload.

        Raises:
            EngineUnavailable: the engine is loading, failed or stopping.
            QueueFull: as many cases as may are on the line.
        """
        self.engine.check()
        with self._lock:
            if self._places + len(self._watched) >= self._limits.max_cases:
                raise QueueFull(retry_after_s=1)
            self._places += 1

    def give_place_back(self) -> None:
        """End the hold of an upload; its cases count from now on, or it was refused."""
        with self._lock:
            self._places -= 1

    def watch(self, case_id: UUID) -> "Future[None]":
        """Give a future that is done once the case has its finding, or was set aside."""
        with self._lock:
            found = self._watched.get(case_id)
        if found is None:
            found = Future()
            found.set_result(None)
        return found

    def score_decoded(self, case_id: UUID, scan: DecodedScan) -> None:
        """Put a case on the line whose scan is decoded already.

        Raises:
            EngineError: the engine stopped meanwhile; the case stays queued for the next start.
        """
        self._enter(case_id)
        self._submit(StoredCase(case_id), scan, Lane.LIVE)

    def score_stored(self, case_ids: Sequence[UUID]) -> None:
        """Put cases on the line whose files are in the store."""
        for case_id in case_ids:
            self._enter(case_id)
            self._stored.put(case_id)

    def pick_up(self) -> int:
        """Put queued cases on the line that are on no line of a living process, and count them.

        They came to other processes, or were left by one that ended, or left the line when the
        engine was away. They take half of the line at most, so that uploads still find a place.
        """
        with self._lock:
            watched = set(self._watched)
        room = max(1, self._limits.max_cases // 2) - len(watched)
        if room <= 0 or not self.engine.is_ready:
            return 0
        now = self._clock.now()
        claim = Claim(self.owner, room, now - _HANDING_OVER, self._limits.max_attempts)
        with self._storage.database.reading() as session:
            if not list_claimable(session, claim, watched, now):
                return 0
        with self._storage.database.transaction() as session:
            claimed = claim_cases(session, claim, watched, now)
        self.score_stored(claimed)
        return len(claimed)

    def _enter(self, case_id: UUID) -> None:
        watched: Future[None] = Future()
        watched.set_running_or_notify_cancel()  # a caller that goes away cancels nothing
        with self._lock:
            self._watched.setdefault(case_id, watched)

    def _leave(self, case_id: UUID) -> None:
        with self._lock:
            watched = self._watched.pop(case_id, None)
        if watched is not None:
            watched.set_result(None)

    def _settle(self, outcome: Outcome) -> None:
        if outcome.is_shown:
            self._leave(outcome.case.id)

    def _read(self) -> None:
        while (case_id := self._stored.get()) is not None and not self._stopping.is_set():
            try:
                self._read_case(case_id)
            except (CaseNotFound, EngineError):
                self._leave(case_id)
            except StorageError as error:
                _LOG.warning("a stored case cannot be read yet", exc_info=error)
                self._stopping.wait(_RETRY_S)
                self._stored.put(case_id)
            except AegleError as error:
                self.keeper.put(Outcome(StoredCase(case_id), None, error, is_shown=True))

    def _read_case(self, case_id: UUID) -> None:
        stored = find_case_files(self._storage, case_id)
        case = StoredCase(case_id, stored.edition)
        with self.decoders.lend() as decoder:
            try:
                scan = decode_files(decoder, stored.files)
            except DecodeError as error:
                self.keeper.put(Outcome(case, None, error, is_shown=True))
                return
            # Waiting for room with a decoder in hand bounds how many scans wait outside.
            self._submit(case, scan, Lane.BACKGROUND)

    def _submit(self, case: StoredCase, scan: DecodedScan, lane: Lane) -> None:
        try:
            task = self.engine.submit(scan, lane, None, _ROOM_WAIT_S)
        except EngineError:
            self._leave(case.id)
            raise
        task.future.add_done_callback(lambda done: self._note(case, done, is_shown=True))
        self.shadows.score(case, scan)

    def _note(self, case: StoredCase, done: "Future[Examination]", *, is_shown: bool) -> None:
        error = done.exception()
        if error is None:
            self.keeper.put(Outcome(case, done.result(), None, is_shown))
        elif is_shown and isinstance(error, PoisonScan):
            self.keeper.put(Outcome(case, None, error, is_shown))
        elif is_shown:
            self._leave(case.id)
