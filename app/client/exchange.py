"""Requests and their answers: sent again while the service may answer otherwise later."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from app.client.access import ServiceAccess
from app.client.errors import (
    CertificateRefused,
    Halted,
    ServiceUnreachable,
    UnexpectedAnswer,
    find_refusal,
)
from app.client.patience import Patience, RetryRules, draw_pause, may_try_again
from app.clock import SystemClock
from models.errors import AegleError

_READ_S = 60.0
_CONNECT_S = 10.0
_MOST_CONNECTIONS = 64
# Where it broke before a byte of the request could have arrived.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

Answer = TypeVar("Answer", bound=BaseModel)
Build = Callable[[], httpx2.Request]
TellPause = Callable[[AegleError, float], None]


class Exchange:
    """The connections to one service; safe to share between threads."""

    def __init__(
        self,
        access: ServiceAccess,
        rules: RetryRules,
        tell_pause: TellPause,
        transport: httpx2.BaseTransport | None,
    ) -> None:
        self.halt = Event()
        self.rules = rules
        self.http = httpx2.Client(
            base_url=access.url,
            headers={"Authorization": f"Bearer {access.key}"},
            timeout=choose_timeout(0.0),
            limits=httpx2.Limits(max_connections=_MOST_CONNECTIONS),
            trust_env=not access.is_local,  # no proxy stands before this machine
            transport=transport,
        )
        self._tell_pause = tell_pause
        self._clock = SystemClock()

    def fetch(
        self,
        path: str,
        kind: type[Answer],
        *,
        params: Mapping[str, Any] | None = None,
        rules: RetryRules | None = None,
    ) -> Answer:
        """Ask for a document of the API.

        Raises:
            AegleError: the service refused, or did not answer in the time of the rules.
        """
        said = None if params is None else dict(params)
        patience = self.begin_patience(rules)
        return self.ask(
            lambda: self.http.build_request("GET", path, params=said), kind, patience=patience
        )

    def order(self, path: str, kind: type[Answer], body: Mapping[str, Any] | None) -> Answer:
        """Have something done that must not be done twice: a lost answer is not tried again.

        Raises:
            AegleError: the service refused, or did not answer.
        """
        return self.ask(
            lambda: self.http.build_request("POST", path, json=body),
            kind,
            patience=self.begin_patience(),
            is_repeatable=False,
        )

    def ask(
        self, build: Build, kind: type[Answer], *, patience: Patience, is_repeatable: bool = True
    ) -> Answer:
        """Send a request until it is answered, refused for good, or patience is over.

        Args:
            build: makes the request of each try.
            kind: what the answer must be.
            patience: when to try again.
            is_repeatable: the same request twice does no more than once.

        Raises:
            AegleError: the service refused, or did not answer.
        """
        while True:
            self.sleep(0.0)  # nothing is begun after a halt
            retry_after = None
            try:
                response = self.http.send(build())
            except httpx2.TransportError as error:
                reason = translate_error(error)
                may_pass = isinstance(reason, ServiceUnreachable)
                if not may_pass or not (is_repeatable or isinstance(error, _NOT_SENT)):
                    raise reason from error
            else:
                refusal = find_refusal(response)
                if refusal is None:
                    return read_document(response.content, kind)
                if not may_try_again(response.status_code):
                    raise refusal
                reason, retry_after = refusal, response.headers.get("Retry-After")
            self.pause(patience, reason, retry_after)

    @contextmanager
    def listen(self, path: str, last_event: str) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
        """Open a stream of server-sent events.

        Raises:
            ServiceUnreachable: there is no stream, or it broke off.
            AegleError: the service refuses it.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event:
            headers["Last-Event-ID"] = last_event
        try:
            with self.http.stream("GET", path, headers=headers) as response:
                if not response.is_success:
                    response.read()
                refusal = find_refusal(response)
                if refusal is not None:
                    raise refusal
                yield iter(httpx2.EventSource(response))
        except httpx2.TransportError as error:
            raise translate_error(error) from error

    def begin_patience(self, rules: RetryRules | None = None) -> Patience:
        """Start counting the tries of something."""
        return Patience(rules or self.rules, self._clock, draw_pause)

    def pause(self, patience: Patience, reason: AegleError, retry_after: str | None = None) -> None:
        """Wait before another try.

        Raises:
            AegleError: the reason, when patience is over.
        """
        pause_s = patience.find_pause_s(retry_after)
        if pause_s is None:
            raise reason
        self._tell_pause(reason, pause_s)
        self.sleep(pause_s)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Halted: the caller asked to stop.
        """
        if self.halt.wait(seconds):
            raise Halted


def choose_timeout(wait_s: float) -> httpx2.Timeout:
    """Give the bounds of one request whose answer may be held back for some seconds."""
    return httpx2.Timeout(_READ_S + wait_s, connect=_CONNECT_S)


def translate_error(error: httpx2.TransportError) -> AegleError:
    """Name what went wrong on the way; the library's own text may repeat the address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateRefused()
        cause = cause.__cause__ or cause.__context__
    return ServiceUnreachable(f"the service does not answer ({type(error).__name__})")


def read_document(content: str | bytes, kind: type[Answer]) -> Answer:
    """Read JSON of the service.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise UnexpectedAnswer(f"the answer is no {kind.__name__}") from None
