"""Who looked at which case: noted in the audit trail, pictures of one case once in a while."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from app.audit.service import Action, Event, record_event
from app.clock import Clock
from app.storage.database import Database

_AGAIN_S = 600.0
_REMEMBERED = 10_000


class ViewLog:
    """Notes views. A page shows a case as many pictures: these are one view in ten minutes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[tuple[str, UUID], float] = OrderedDict()
        self._lock = Lock()

    def note(self, caller: str, case_id: UUID, action: Action, what: str) -> None:
        """Note that a caller saw or exported something of a case."""
        event = Event(caller, action, f"case:{case_id}", {"what": what})
        with self._database.transaction() as session:
            record_event(session, event, self._clock.now())

    def note_picture(self, caller: str, case_id: UUID) -> None:
        """Note that a caller saw pictures of a case, unless that was noted a moment ago."""
        if self._is_new(caller, case_id):
            self.note(caller, case_id, Action.CASE_VIEWED, "picture")

    def note_object(self, caller: str, series_id: UUID, action: Action, what: str) -> None:
        """Note that a caller saw or exported DICOM objects, a series once in a while."""
        if self._is_new(f"{caller} {action}", series_id):
            event = Event(caller, action, f"series:{series_id}", {"what": what})
            with self._database.transaction() as session:
                record_event(session, event, self._clock.now())

    def _is_new(self, caller: str, case_id: UUID) -> bool:
        now_s = self._clock.elapsed_s()
        with self._lock:
            last_s = self._seen.pop((caller, case_id), None)
            is_new = last_s is None or now_s - last_s >= _AGAIN_S
            self._seen[caller, case_id] = now_s if last_s is None or is_new else last_s
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return is_new
