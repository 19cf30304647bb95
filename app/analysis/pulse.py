"""The pulse of a scoring line: what this process has on its line is its own while it beats."""

import logging
import secrets
from datetime import timedelta
from threading import Event, Thread

from app.cases.claims import end_owner, renew_owner
from app.clock import Clock
from app.errors import StorageError
from app.storage.opening import Storage

_LOG = logging.getLogger(__name__)

_RENEWALS = 4


class LinePulse:
    """One thread that renews the lease of this process, some times in the life of a lease."""

    def __init__(self, storage: Storage, clock: Clock, life: timedelta) -> None:
        self.owner = secrets.token_hex(8)
        self._storage = storage
        self._clock = clock
        self._life = life
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="line-pulse", daemon=True)

    def start(self) -> None:
        """Take the lease, and start the thread."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Give the lease back: what is left on the line is free."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            with self._storage.database.transaction() as session:
                end_owner(session, self.owner, self._clock.now())
        except StorageError as error:
            _LOG.warning("the lease of the scoring line runs out by itself", exc_info=error)

    def beat(self) -> None:
        """Renew the lease."""
        try:
            with self._storage.database.transaction() as session:
                renew_owner(session, self.owner, self._clock.now(), self._life)
        except StorageError as error:
            _LOG.warning("the lease of the scoring line cannot be renewed", exc_info=error)

    def _run(self) -> None:
        while not self._stopping.wait(self._life.total_seconds() / _RENEWALS):
            self.beat()
