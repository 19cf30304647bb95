"""What goes on beside requests: series that have become quiet are queued, and queued cases scored.

Both are found in the database, so it does not matter which process took them in, or whether one of
them was killed meanwhile.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from app.clock import Clock
from app.dicom.repository import DicomRepository
from app.dicom.series import settle_due_series
from app.storage.database import Database
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

PAUSE_S = 1.0
_TIDY_EVERY = 600  # rounds


class SeriesWatch:
    """One thread that looks every second."""

    def __init__(self, database: Database, clock: Clock, pick_up: Callable[[], int]) -> None:
        """Take what it needs; `pick_up` puts queued cases on the scoring line."""
        self._database = database
        self._clock = clock
        self._pick_up = pick_up
        self._wake = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="series", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what waits is found by the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def look(self) -> int:
        """Settle what is due, put what is queued on the line, and count the settled series."""
        count = 0
        while settled := self._settle_some():
            count += settled
        self._pick_up()
        return count

    def _settle_some(self) -> int:
        with self._database.reading() as session:
            if not DicomRepository(session).has_due_series(self._clock.now()):
                return 0
        with self._database.transaction() as session:
            return settle_due_series(session, self._clock.now())

    def _run(self) -> None:
        rounds = 0
        while not self._stopping.is_set():
            try:
                self.look()
                if rounds % _TIDY_EVERY == 0:
                    self._tidy()
            except (AegleError, SQLAlchemyError) as error:
                _LOG.warning("series cannot be looked at yet", exc_info=error)
            rounds += 1
            self._wake.wait(PAUSE_S)
            self._wake.clear()

    def _tidy(self) -> None:
        with self._database.transaction() as session:
            DicomRepository(session).forget_empty()
