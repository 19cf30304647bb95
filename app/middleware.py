"""Around every request: its id, its host, the size of its body, safe headers, one log line.

Plain ASGI, so that streams pass through untouched. Paths are logged as the route's template:
an address may hold what a caller typed.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.clock import Clock
from app.error_handlers import answer_error
from app.errors import BodyTooLarge, EncodedBody, RequestError, UnknownHost
from app.request_context import choose_request_id, request_id

_LOG = logging.getLogger("app.access")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a request body may be: `default_bytes`, or that of the first prefix that fits."""

    default_bytes: int
    by_prefix: tuple[tuple[str, int], ...] = ()

    def find_limit(self, path: str) -> int:
        """Give the largest body that a path takes."""
        fitting = (limit for prefix, limit in self.by_prefix if path.startswith(prefix))
        return next(fitting, self.default_bytes)


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What holds for every request."""

    hosts: frozenset[str]
    limits: BodyLimits
    is_https: bool


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is logged and counted of an answer; `route` is the template, never the address."""

    method: str
    route: str | None
    status: int | None
    duration_s: float


Observe = Callable[[AnswerFacts], None]


class RequestGuard:
    """The outermost layer of the service."""

    def __init__(
        self, app: ASGIApp, *, rules: RequestRules, clock: Clock, observe: Observe | None = None
    ) -> None:
        self.app = app
        self.rules = rules
        self.clock = clock
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        token = request_id.set(choose_request_id(headers.get("x-request-id")))
        exchange = _Exchange(self.rules, scope, receive, send)
        started_s = self.clock.elapsed_s()
        try:
            await self._answer(scope, headers, exchange)
        finally:
            self._tell(scope, exchange.status, self.clock.elapsed_s() - started_s)
            request_id.reset(token)

    def _tell(self, scope: Scope, status: int | None, duration_s: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", None)
        facts = AnswerFacts(method, route, status, duration_s)
        _log_answer(facts)
        if self.observe is not None:
            self.observe(facts)

    async def _answer(self, scope: Scope, headers: Headers, exchange: "_Exchange") -> None:
        refusal = self._find_refusal(headers, exchange.limit_bytes)
        if refusal is not None:
            await answer_error(refusal)(scope, exchange.receive, exchange.send)
            return
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except _BodyStopped:
            await exchange.send_refusal()

    def _find_refusal(self, headers: Headers, limit_bytes: int) -> RequestError | None:
        if _cut_port(headers.get("host", "")) not in self.rules.hosts:
            return UnknownHost()
        if headers.get("content-encoding", "identity").lower() != "identity":
            return EncodedBody()
        length = headers.get("content-length")
        if length is not None and (not length.isdigit() or int(length) > limit_bytes):
            return BodyTooLarge()
        return None


class _BodyStopped(BaseException):
    """The body went over its limit while it was read.

    A signal like a cancellation, so that no parser of bodies on the way takes it for its own error.
    """


class _Exchange:
    """One request on its way: counts the body, adds headers to the answer."""

    def __init__(self, rules: RequestRules, scope: Scope, receive: Receive, send: Send) -> None:
        self.rules = rules
        self.scope = scope
        self.status: int | None = None
        self.limit_bytes = rules.limits.find_limit(scope["path"])
        self._receive = receive
        self._send = send
        self._read_bytes = 0

    async def receive(self) -> Message:
        """Hand on a part of the body while the whole stays under the limit."""
        message = await self._receive()
        self._read_bytes += len(message.get("body", b""))
        if self._read_bytes > self.limit_bytes:
            raise _BodyStopped
        return message

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer, with safe headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
        await self._send(message)

    async def send_refusal(self) -> None:
        """Answer that the body was too large, when nothing was answered yet."""
        if self.status is None:
            await answer_error(BodyTooLarge())(self.scope, self._receive, self.send)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in SAFE_HEADERS.items():
            headers.setdefault(name, value)
        headers["X-Request-ID"] = request_id.get() or ""
        if self.rules.is_https:
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"


def _cut_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _log_answer(facts: AnswerFacts) -> None:
    fields = {
        "method": facts.method,
        "route": facts.route,
        "status": facts.status,
        "duration_ms": round(facts.duration_s * 1000, 2),
    }
    _LOG.info("answered", extra={"fields": fields})
