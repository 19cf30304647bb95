"""The thread that sends what is due to the targets, and notes what became of it."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Event, Thread

from app.clock import Clock
from app.dicom.crosswalk import Crosswalk
from app.dicom.deidentify import Deidentifier
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.dicom.push import ObjectSender, PushTarget
from app.dicom.tables import DicomInstanceRow, PushRow
from app.errors import StorageError
from app.storage.opening import Storage
from app.webhooks.service import choose_pause
from models.errors import AegleError

_LOG = logging.getLogger(__name__)

MAX_ATTEMPTS = 12
_LEASE = timedelta(minutes=10)
_AT_ONCE = 8
_IDLE_S = 1.0
_STOP_S = 10.0


class Pusher:
    """Sends objects; a target that is away is tried again, ever more rarely."""

    def __init__(
        self,
        storage: Storage,
        sender: ObjectSender,
        targets: Sequence[PushTarget],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._sender = sender
        self._targets = {target.name: target for target in targets}
        self._clock = clock
        self._chance = chance
        self._deidentifier = Deidentifier(Crosswalk(storage.database, clock))
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="pusher", daemon=True)

    def start(self) -> None:
        """Start the thread, where there is a target."""
        if self._targets:
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not sent yet is sent after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        self._sender.close()

    def send_due(self) -> int:
        """Send what is due and count it."""
        now = self._clock.now()
        with self._storage.database.transaction() as session:
            rows = JobRepository(session).claim_pushes(now, now + _LEASE, _AT_ONCE)
        for row in rows:
            self._send(row)
        return len(rows)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                sent = self.send_due()
            except StorageError as error:
                _LOG.warning("pushes cannot be read", exc_info=error)
                sent = 0
            if not sent:
                self._stopping.wait(_IDLE_S)

    def _send(self, row: PushRow) -> None:
        target = self._targets.get(row.target)
        if target is None:  # it was taken out of the settings: nothing goes there any more
            self._settle(row, JobState.LEFT_OUT, None)
            return
        try:
            content = self._read(row, target)
            if content is not None:
                self._sender.send(target, content)
        except AegleError as error:
            _LOG.warning("an object was not sent", exc_info=error)
            self._postpone(row, error.code)
        else:
            self._settle(row, JobState.DONE, None)

    def _read(self, row: PushRow, target: PushTarget) -> bytes | None:
        """Give what is to be sent; None where its case was deleted meanwhile, and this row too."""
        with self._storage.database.reading() as session:
            instance = session.get(DicomInstanceRow, row.instance_id)
        if instance is None:
            return None
        content = self._storage.blobs.read(instance.sha256)
        return (
            self._deidentifier.clean(content, is_ours=True) if target.is_deidentified else content
        )

    def _postpone(self, row: PushRow, code: str) -> None:
        if row.attempt_count >= MAX_ATTEMPTS:
            self._settle(row, JobState.FAILED, code)
            return
        pause = choose_pause(row.attempt_count, self._chance())
        with self._storage.database.transaction() as session:
            kept = JobRepository(session).find_push(row.id)
            if kept is not None:
                kept.due_at, kept.failure_code = self._clock.now() + pause, code[:64]

    def _settle(self, row: PushRow, state: JobState, code: str | None) -> None:
        with self._storage.database.transaction() as session:
            kept = JobRepository(session).find_push(row.id)
            if kept is not None:
                kept.state, kept.due_at, kept.failure_code = state, None, code and code[:64]
                kept.settled_at = self._clock.now()
