"""When keys were last used: noted in memory, written beside the requests, once a minute a key."""

import logging
from datetime import datetime
from threading import Event, Lock, Thread
from uuid import UUID

from app.auth.repository import AccessRepository
from app.auth.service import TOUCH_EVERY
from app.errors import StorageError
from app.storage.database import Database

_LOG = logging.getLogger(__name__)
_WRITE_EVERY_S = 5.0


class KeyUses:
    """Notes the use of keys; a request pays for a look into a dictionary and nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[UUID, datetime] = {}
        self._due: dict[UUID, datetime] = {}
        self._lock = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="key-uses", daemon=True)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is due, then end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, key_id: UUID, at: datetime) -> None:
        """Note that a valid key was used, unless that was noted within the minute."""
        last = self._noted.get(key_id)
        if last is not None and at - last < TOUCH_EVERY:
            return
        with self._lock:
            self._noted[key_id] = at
            self._due[key_id] = at

    def write(self) -> None:
        """Write what was noted since; while the database is away it waits for the next time."""
        with self._lock:
            due, self._due = self._due, {}
        if not due:
            return
        try:
            with self._database.transaction() as session:
                AccessRepository(session).touch_keys(due)
        except StorageError as error:
            _LOG.warning("the use of keys cannot be written yet", exc_info=error)
            with self._lock:
                self._due = due | self._due

    def _run(self) -> None:
        while not self._stopping.wait(_WRITE_EVERY_S):
            self.write()
        self.write()
