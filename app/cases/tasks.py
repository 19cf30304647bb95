"""The thread that keeps house: cases past their time, then bytes that nothing refers to."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread

from app.cases.retention import RetentionRules, expire_cases
from app.clock import Clock
from app.errors import StorageError
from app.storage.leases import take_lease
from app.storage.opening import Storage
from app.storage.service import collect_blobs

_LOG = logging.getLogger(__name__)

_LEASE = "housekeeping"
_LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class HousekeepingRules:
    """How often it is done, what is old enough, and which cases end."""

    every: timedelta
    grace: timedelta
    retention: RetentionRules


class Housekeeper:
    """One thread a process; of all processes on a database one keeps house at a time."""

    def __init__(self, storage: Storage, clock: Clock, rules: HousekeepingRules) -> None:
        self._storage = storage
        self._clock = clock
        self._rules = rules
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Start the thread, unless house is kept by hand."""
        if self._rules.every:
            self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread; what it leaves undone is done next time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def keep_house(self) -> bool:
        """Delete what is past its time, if it is due and nobody else does, and tell that."""
        now = self._clock.now()
        with self._storage.database.transaction() as session:
            is_mine = take_lease(session, _LEASE, now, now + self._rules.every)
        if not is_mine:
            return False
        if self._rules.retention.is_on:
            count = expire_cases(self._storage.database, self._rules.retention, now)
            _LOG.info("deleted cases past their time", extra={"fields": {"cases": count}})
        collect_blobs(self._storage.database, self._storage.blobs, now - self._rules.grace)
        return True

    def _run(self) -> None:
        look_s = min(_LOOK_S, self._rules.every.total_seconds())
        while not self._stopping.wait(look_s):
            try:
                self.keep_house()
            except StorageError as error:
                _LOG.warning("house cannot be kept now", exc_info=error)
