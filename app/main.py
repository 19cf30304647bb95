"""The application: puts the parts together, and nothing else does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp

from app.analysis.opening import list_limits, open_line
from app.analysis.routes import router as analysis_router
from app.analysis.shelf import ScanShelf
from app.analysis.tasks import ScoringLine
from app.auth.access import Access, CookieRules, Public, build_life
from app.auth.limits import RateLimiter
from app.auth.oidc import OidcProvider, OidcRules
from app.auth.passwords import Passwords
from app.auth.permissions import Role
from app.auth.routes import router as access_router
from app.cases.routes import router as cases_router
from app.cases.viewing import ViewLog
from app.clock import Clock, SystemClock
from app.error_handlers import add_error_handlers
from app.intake.routes import router as intake_router
from app.intake.service import Intake
from app.intake.unpacker import Unpacker
from app.middleware import BodyLimits, RequestGuard, RequestRules
from app.settings import Settings
from app.storage.opening import Storage, open_storage

_LOG = logging.getLogger(__name__)
SHUTDOWN_S = 50.0
UPLOADS = ("/api/v1/scans", "/api/v1/bundles", "/dicom-web")


class Health(BaseModel):
    """The service runs."""

    status: str = "ok"


class Service(FastAPI):
    """The application inside its guard: also answers to unexpected errors get safe headers."""

    guard_rules: RequestRules
    clock: Clock

    def build_middleware_stack(self) -> ASGIApp:
        """Put the guard around everything."""
        inner = super().build_middleware_stack()
        return RequestGuard(inner, rules=self.guard_rules, clock=self.clock)


def create_app(settings: Settings, clock: Clock | None = None) -> Service:
    """Build the service; it opens its storage now and closes it when it stops."""
    clock = clock or SystemClock()
    storage = open_storage(settings)
    service = Service(
        title="Aegle",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_live,
    )
    service.clock = clock
    service.guard_rules = _build_rules(settings)
    service.state.settings = settings
    service.state.storage = storage
    service.state.access = _build_access(settings, storage, clock)
    _add_road(service, settings, storage, clock)
    add_error_handlers(service)
    for router in (access_router, intake_router, cases_router, analysis_router):
        service.include_router(router)
    service.add_api_route("/healthz", show_health, methods=["GET"], tags=["health"])
    return service


async def show_health(_public: Public) -> Health:
    """Tell that the service runs; asks nothing of database, store or engine."""
    return Health()


@asynccontextmanager
async def _live(service: FastAPI) -> AsyncIterator[None]:
    line: ScoringLine = service.state.line
    await asyncio.to_thread(_start, service)
    _LOG.info("service started")
    yield
    await asyncio.to_thread(line.stop, SHUTDOWN_S)
    line.decoders.close()
    service.state.unpacker.close()
    service.state.storage.close()
    _LOG.info("service stopped")


def _start(service: FastAPI) -> None:
    line: ScoringLine = service.state.line
    line.engine.start()
    line.start(line.decoders.count)
    if service.state.settings.bundle is not None:
        line.decoders.start()
        line.engine.choose_live(line.engine.load(service.state.settings.bundle))
        line.recover()


def _add_road(service: Service, settings: Settings, storage: Storage, clock: Clock) -> None:
    """Lay the road of a scan: intake, line, shelf."""
    line = open_line(settings, storage, clock)
    unpacker = Unpacker(storage.blobs, list_limits(settings))
    service.state.line = line
    service.state.unpacker = unpacker
    service.state.intake = Intake(storage, unpacker, line, clock)
    service.state.shelf = ScanShelf(storage, line.decoders, settings.shown_pixels)
    service.state.views = ViewLog(storage.database, clock)


def _build_rules(settings: Settings) -> RequestRules:
    uploads = tuple((prefix, settings.max_upload_bytes) for prefix in UPLOADS)
    limits = BodyLimits(settings.max_body_bytes, uploads)
    return RequestRules(settings.list_hosts(), limits, settings.is_https)


def _build_access(settings: Settings, storage: Storage, clock: Clock) -> Access:
    return Access(
        database=storage.database,
        clock=clock,
        passwords=Passwords(settings.argon2_memory_kib, settings.argon2_time_cost),
        life=build_life(settings.session_idle_s, settings.session_life_s),
        cookies=CookieRules(is_secure=settings.is_https),
        requests=RateLimiter(clock, settings.key_rate_per_minute),
        failures=RateLimiter(clock, settings.login_rate_per_minute),
        oidc=_build_oidc(settings, clock),
    )


def _build_oidc(settings: Settings, clock: Clock) -> OidcProvider | None:
    secret = settings.oidc_client_secret
    if settings.oidc_issuer is None or settings.oidc_client_id is None or secret is None:
        return None
    rules = OidcRules(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value(),
        redirect_url=f"{settings.find_public_url()}/api/v1/login/callback",
        role_claim=settings.oidc_role_claim,
        roles={group: Role(role) for group, role in settings.oidc_roles.items()},
        hosts=frozenset(settings.oidc_hosts),
    )
    return OidcProvider(rules, clock)
