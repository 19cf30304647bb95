"""The gate: who calls, and may they? A permission is a type in the signature of a route.

    def list_cases(caller: CanReadCases) -> ...

A route without such a type, and without `Public`, is a mistake that a test finds.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPBearer

from app.audit.service import Action, Event, record_event
from app.auth.limits import RateLimiter
from app.auth.oidc import OidcProvider
from app.auth.passwords import Passwords
from app.auth.permissions import Permission, Principal
from app.auth.repository import AccessRepository
from app.auth.service import SessionLife, identify_key, identify_session, needs_touch
from app.auth.tasks import KeyUses
from app.auth.tokens import digest_token, is_same_digest, parse_key
from app.clock import Clock
from app.errors import AccessError, CrossSiteRequest, NotAuthenticated, PermissionDenied
from app.storage.database import Database

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
NOBODY = "nobody"

_BEARER = HTTPBearer(auto_error=False, description="An API key: `aegle_...`.")
_COOKIE = APIKeyCookie(name="aegle_session", auto_error=False, description="A browser's session.")


@dataclass(frozen=True, slots=True)
class CookieRules:
    """How cookies are set: over https they are bound to the host and never sent in clear."""

    is_secure: bool

    @property
    def session_name(self) -> str:
        """Name of the session's cookie."""
        return "__Host-aegle_session" if self.is_secure else "aegle_session"

    @property
    def login_name(self) -> str:
        """Name of the cookie that binds a login to the browser that began it."""
        return "__Host-aegle_login" if self.is_secure else "aegle_login"


@dataclass(frozen=True, slots=True)
class Access:
    """What the gate needs; one for each application, in `app.state.access`."""

    database: Database
    clock: Clock
    passwords: Passwords
    life: SessionLife
    cookies: CookieRules
    requests: RateLimiter
    failures: RateLimiter
    uses: KeyUses
    oidc: OidcProvider | None

    def identify(self, request: Request) -> Principal:
        """Tell who calls, by API key or by session.

        Raises:
            NotAuthenticated: by neither.
            CrossSiteRequest: a browser was led here by another page.
        """
        header = request.headers.get("authorization")
        if header is not None:
            return self._identify_key(header)
        token = request.cookies.get(self.cookies.session_name)
        if token is None:
            raise NotAuthenticated
        principal = self._identify_session(token)
        if request.method not in SAFE_METHODS:
            check_csrf(request, principal)
        return principal

    def refuse(self, request: Request, actor: str, error: AccessError) -> None:
        """Write a refusal to the audit trail, unless this address fills it."""
        self.failures.take(find_address(request))
        route = getattr(request.scope.get("route"), "path", "")
        event = Event(actor, Action.ACCESS_REFUSED, f"route:{route}"[:96], {"code": error.code})
        with self.database.transaction() as session:
            record_event(session, event, self.clock.now())

    def _identify_key(self, header: str) -> Principal:
        token = parse_key(_find_key_text(header))
        if token is None:
            raise NotAuthenticated
        now = self.clock.now()
        with self.database.reading() as session:
            principal = identify_key(session, token, now)
        self.uses.note(token.id, now)
        return principal

    def _identify_session(self, token: str) -> Principal:
        now = self.clock.now()
        with self.database.reading() as session:
            principal = identify_session(session, token, self.life, now)
            is_due = needs_touch(session, token, now)
        if is_due:
            with self.database.transaction() as session:
                AccessRepository(session).touch_session(digest_token(token), now)
        return principal


class Needs:
    """The dependency behind the permission types; None lets everybody pass who is known."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    def __call__(
        self,
        request: Request,
        _bearer: Annotated[object, Security(_BEARER)],
        _cookie: Annotated[object, Security(_COOKIE)],
    ) -> Principal:
        """Let a caller pass who is known, holds the permission and does not come too often."""
        access = get_access(request)
        try:
            principal = access.identify(request)
        except AccessError as error:
            if _has_credentials(request, access):
                access.refuse(request, NOBODY, error)
            raise
        access.requests.take(principal.id, principal.rate_per_minute)
        if self.permission is not None and not principal.may(self.permission):
            denied = PermissionDenied()
            access.refuse(request, principal.id, denied)
            raise denied
        return principal


def allow_everyone() -> None:
    """Mark a route as public."""


Public = Annotated[None, Depends(allow_everyone)]
IsKnown = Annotated[Principal, Depends(Needs(None))]
CanSendScans = Annotated[Principal, Depends(Needs(Permission.SEND_SCANS))]
CanReadCases = Annotated[Principal, Depends(Needs(Permission.READ_CASES))]
CanExportCases = Annotated[Principal, Depends(Needs(Permission.EXPORT_CASES))]
CanReviewCases = Annotated[Principal, Depends(Needs(Permission.REVIEW_CASES))]
CanDeleteCases = Annotated[Principal, Depends(Needs(Permission.DELETE_CASES))]
CanReadBundles = Annotated[Principal, Depends(Needs(Permission.READ_BUNDLES))]
CanManageBundles = Annotated[Principal, Depends(Needs(Permission.MANAGE_BUNDLES))]
CanReadJobs = Annotated[Principal, Depends(Needs(Permission.READ_JOBS))]
CanRunJobs = Annotated[Principal, Depends(Needs(Permission.RUN_JOBS))]
CanReadMonitoring = Annotated[Principal, Depends(Needs(Permission.READ_MONITORING))]
CanManageAccess = Annotated[Principal, Depends(Needs(Permission.MANAGE_ACCESS))]
CanReadAudit = Annotated[Principal, Depends(Needs(Permission.READ_AUDIT))]


def get_access(request: Request) -> Access:
    """Give the gate of the application that answers."""
    access: Access = request.app.state.access
    return access


def check_csrf(request: Request, principal: Principal) -> None:
    """Let a browser's change pass only with the session's own token and from our own pages.

    Raises:
        CrossSiteRequest: the token is missing or wrong, or the browser names another origin.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CrossSiteRequest
    sent = request.headers.get(CSRF_HEADER, "")
    if principal.csrf_token is None or not is_same_digest(sent, digest_token(principal.csrf_token)):
        raise CrossSiteRequest


def find_address(request: Request) -> str:
    """Give the address of the caller, as the server tells it."""
    return request.client.host if request.client else "unknown"


def list_open_routes(app: FastAPI) -> list[str]:
    """List routes that neither need a permission nor are marked as public."""
    routes = (route for route in app.routes if isinstance(route, APIRoute))
    return [route.path for route in routes if not _is_guarded(route)]


def build_life(idle_s: int, whole_s: int) -> SessionLife:
    """Give the life of a session from its settings."""
    return SessionLife(timedelta(seconds=idle_s), timedelta(seconds=whole_s))


def _is_guarded(route: APIRoute) -> bool:
    calls = [dependant.call for dependant in route.dependant.dependencies]
    return any(isinstance(call, Needs) or call is allow_everyone for call in calls)


def _has_credentials(request: Request, access: Access) -> bool:
    return "authorization" in request.headers or access.cookies.session_name in request.cookies


def _find_key_text(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":  # DICOMweb tools that know no other: the key is the password
        try:
            return base64.b64decode(value, validate=True).decode("ascii").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
