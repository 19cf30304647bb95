"""The thread that tells webhooks what is due."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import httpx2

from app.clock import Clock
from app.errors import StorageError
from app.storage.database import Database
from app.webhooks.repository import DeliveryRepository
from app.webhooks.service import MAX_ATTEMPTS, WebhookRules, choose_pause, encode_body, sign
from app.webhooks.tables import DeliveryRow

_LOG = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_LEASE = timedelta(minutes=10)
_AT_ONCE = 20
_IDLE_S = 1.0


class Messenger:
    """Delivers what is due; follows no redirect, uses no proxy, knows no address but those set."""

    def __init__(
        self,
        database: Database,
        rules: WebhookRules,
        clock: Clock,
        chance: Callable[[], float],
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._client = httpx2.Client(
            timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False, transport=transport
        )
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="messenger", daemon=True)

    def start(self) -> None:
        """Start the thread, where there is anybody to tell."""
        if self._rules.urls:
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what is not told yet is told after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT_S)
        self._client.close()

    def deliver_due(self) -> int:
        """Deliver what is due and count it."""
        now = self._clock.now()
        with self._database.transaction() as session:
            rows = DeliveryRepository(session).claim_due(now, now + _LEASE, _AT_ONCE)
        for row in rows:
            self._settle(row, is_taken=self._send(row))
        return len(rows)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                delivered = self.deliver_due()
            except StorageError as error:
                _LOG.warning("deliveries cannot be read", exc_info=error)
                delivered = 0
            if not delivered:
                self._stopping.wait(_IDLE_S)

    def _send(self, row: DeliveryRow) -> bool:
        """Send one message and tell whether it was taken."""
        if row.url not in self._rules.urls:
            return True  # the address was taken out of the settings: nobody is told any more
        body = encode_body(row.body)
        headers = {
            "Content-Type": "application/json",
            "Aegle-Event": row.event,
            "Aegle-Delivery": str(row.id),
            "Aegle-Signature": sign(self._rules.secret, body, self._clock.now()),
        }
        try:
            answer = self._client.post(row.url, content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            _LOG.warning("a webhook cannot be reached", exc_info=error)
            return False
        return answer.is_success

    def _settle(self, row: DeliveryRow, *, is_taken: bool) -> None:
        with self._database.transaction() as session:
            repository = DeliveryRepository(session)
            if is_taken:
                repository.forget(row.id)
            elif row.attempt_count >= MAX_ATTEMPTS:
                _LOG.error("a webhook was given up", extra={"fields": {"delivery": str(row.id)}})
                repository.forget(row.id)
            else:
                pause = choose_pause(row.attempt_count, self._chance())
                repository.postpone(row.id, self._clock.now() + pause)
