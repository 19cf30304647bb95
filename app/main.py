"""The application: puts the parts together, and nothing else does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import SystemRandom
from threading import Event
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from app.analysis.opening import list_limits, open_line
from app.analysis.routes import router as analysis_router
from app.analysis.shelf import ScanShelf
from app.analysis.slice_routes import router as slices_router
from app.analysis.tasks import ScoringLine
from app.auth.access import Access, CookieRules, build_life
from app.auth.administration import router as administration_router
from app.auth.limits import RateLimiter
from app.auth.oidc import OidcProvider, OidcRules
from app.auth.passwords import Passwords
from app.auth.permissions import Role
from app.auth.routes import router as access_router
from app.auth.tasks import KeyUses
from app.auth.trail import router as trail_router
from app.batch.opening import open_jobs
from app.batch.routes import router as jobs_router
from app.batch.tasks import JobRunner
from app.bundles.folder import BundleFolder
from app.bundles.operation import BundleOperator, BundleRules
from app.bundles.routes import router as bundles_router
from app.bundles.service import find_candidate
from app.cases.retention import RetentionRules
from app.cases.routes import router as cases_router
from app.cases.tasks import Housekeeper, HousekeepingRules
from app.cases.viewing import ViewLog
from app.clock import Clock, SystemClock
from app.dicom.opening import open_receiver
from app.dicom.outgoing import Outgoing, open_outgoing
from app.dicom.places import Places
from app.dicom.push_routes import router as push_router
from app.dicom.receiving import Receiver
from app.dicom.render_routes import router as render_router
from app.dicom.retrieval import ObjectReader
from app.dicom.retrieve_routes import router as retrieve_router
from app.dicom.search_routes import router as search_router
from app.dicom.stow_routes import router as stow_router
from app.dicom.tasks import SeriesWatch
from app.dicom.uploads import UploadIndex
from app.error_handlers import add_error_handlers, name_error_media
from app.health.metrics import Metrics
from app.health.routes import router as health_router
from app.health.service import ReadinessProbe
from app.intake.contents import ContentReader
from app.intake.routes import router as intake_router
from app.intake.service import Intake
from app.intake.unpacker import Unpacker
from app.middleware import BodyLimits, RequestGuard, RequestRules
from app.monitoring.desk import MonitoringDesk
from app.monitoring.routes import router as monitoring_router
from app.settings import Settings
from app.storage.opening import Storage, open_storage
from app.web.opening import add_pages
from app.webhooks.service import WebhookRules, announce_finding
from app.webhooks.tasks import Messenger

_LOG = logging.getLogger(__name__)
SHUTDOWN_S = 50.0
_HOUSE_WAIT_S = 5.0
# Routes are tried in this order: first what comes most.
ROUTERS = (
    stow_router,
    access_router,
    administration_router,
    trail_router,
    intake_router,
    cases_router,
    analysis_router,
    slices_router,
    bundles_router,
    search_router,
    retrieve_router,
    render_router,
    push_router,
    jobs_router,
    monitoring_router,
    health_router,
)
UPLOADS = ("/api/v1/scans", "/api/v1/bundles", "/dicom-web")


@dataclass(frozen=True, slots=True)
class Road:
    """Everything that has a life, started and stopped in order."""

    storage: Storage
    uses: KeyUses
    line: ScoringLine
    unpacker: Unpacker
    receiver: Receiver
    series: SeriesWatch
    outgoing: Outgoing
    bundles: BundleOperator
    jobs: JobRunner
    probe: ReadinessProbe
    messenger: Messenger
    housekeeper: Housekeeper

    def start(self) -> None:
        """Start the threads; the live bundle is loaded while requests are answered already."""
        self.line.engine.start()
        self.line.start(self.line.decoders.count)
        self.messenger.start()
        self.housekeeper.start()
        self.uses.start()
        self.series.start()
        self.outgoing.start()
        self.bundles.start()
        self.jobs.start()

    def stop(self, timeout_s: float) -> None:
        """Score what was accepted, then end everything."""
        self.jobs.stop(timeout_s / 5)
        self.bundles.stop()
        self.series.stop()
        self.outgoing.stop()
        self.line.stop(timeout_s)
        self.messenger.stop()
        self.housekeeper.stop(_HOUSE_WAIT_S)
        self.uses.stop()
        self.line.decoders.close()
        self.unpacker.close()
        self.receiver.close()
        self.probe.close()
        self.storage.close()


class Service(FastAPI):
    """The application inside its guard: also answers to unexpected errors get safe headers."""

    guard_rules: RequestRules
    clock: Clock

    def openapi(self) -> dict[str, Any]:
        """Give the document of the API."""
        document = super().openapi()
        name_error_media(document)
        return document

    def build_middleware_stack(self) -> ASGIApp:
        """Put the guard around everything."""
        inner = super().build_middleware_stack()
        metrics: Metrics = self.state.metrics
        return RequestGuard(
            inner, rules=self.guard_rules, clock=self.clock, observe=metrics.count_answer
        )


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
    service.state.ending = Event()
    service.state.access = _build_access(settings, storage, clock)
    service.state.road = _build_road(service, settings, storage)
    add_error_handlers(service)
    for router in ROUTERS:
        service.include_router(router)
    add_pages(service)
    return service


@asynccontextmanager
async def _live(service: FastAPI) -> AsyncIterator[None]:
    road: Road = service.state.road
    road.start()
    _LOG.info("service started")
    yield
    service.state.ending.set()
    await asyncio.to_thread(road.stop, SHUTDOWN_S)
    _LOG.info("service stopped")


def _build_road(service: Service, settings: Settings, storage: Storage) -> Road:
    """Lay the road of a scan, from intake to webhook; nothing moves on it yet."""
    clock = service.clock
    line = open_line(settings, storage, clock)
    hooks = _list_hooks(settings)
    metrics = Metrics(line)
    service.state.metrics = metrics
    service.state.receiver = open_receiver(settings, storage, clock)
    index = UploadIndex(service.state.receiver)
    clean = index.clean if index.is_cleaning else None
    unpacker = Unpacker(storage.blobs, list_limits(settings), clean)
    reader = ContentReader(storage.blobs, unpacker, index, line.decoders)
    service.state.intake = Intake(storage, reader, line, clock)
    chance = SystemRandom().random
    outgoing = open_outgoing(settings, storage, line, service.state.receiver, clock, chance)
    line.keeper.announcers += [
        metrics.count_finding, partial(announce_finding, hooks), outgoing.announce,
    ]  # fmt: skip
    service.state.stow_places = Places(settings.stow_requests)
    service.state.series_watch = SeriesWatch(storage.database, clock, line.pick_up)
    service.state.shelf = ScanShelf(storage, line.decoders, settings.shown_pixels)
    service.state.views = ViewLog(storage.database, clock)
    service.state.objects = ObjectReader(
        storage,
        line.decoders,
        service.state.views,
        list_limits(settings),
        f"{settings.find_public_url()}/dicom-web",
    )
    service.state.probe = ReadinessProbe(storage, line)
    service.state.bundles = BundleOperator(
        storage.database,
        BundleFolder(settings.data_folder / "bundles", settings.max_upload_bytes),
        line.engine,
        clock,
        BundleRules(settings.bundle, partial(_warm, service), line.pick_up),
    )
    runner, service.state.jobs = open_jobs(
        settings, storage, line, service.state.bundles.folder, clock
    )
    runner.announcers += [metrics.count_change, partial(announce_finding, hooks)]
    metrics.watch_jobs(service.state.jobs.measure)
    service.state.find_candidate = find_candidate
    service.state.monitoring = MonitoringDesk(storage.database, service.state.bundles.folder, clock)
    metrics.watch(service.state.monitoring)
    return Road(
        storage=storage,
        uses=service.state.access.uses,
        line=line,
        unpacker=unpacker,
        receiver=service.state.receiver,
        series=service.state.series_watch,
        outgoing=outgoing,
        bundles=service.state.bundles,
        jobs=runner,
        probe=service.state.probe,
        messenger=Messenger(storage.database, hooks, clock, chance),
        housekeeper=Housekeeper(storage, clock, _list_chores(settings)),
    )


def _warm(service: Service) -> None:
    """Start what reads scans, beside the loading of a bundle; a second call does nothing."""
    road: Road = service.state.road
    road.unpacker.warm()
    road.line.decoders.start()
    road.receiver.readers.warm()


def _list_chores(settings: Settings) -> HousekeepingRules:
    return HousekeepingRules(
        every=timedelta(seconds=settings.collect_every_s),
        grace=timedelta(seconds=settings.collect_grace_s),
        retention=RetentionRules(settings.retention_days, settings.retention_flagged_days),
    )


def _list_hooks(settings: Settings) -> WebhookRules:
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    return WebhookRules(settings.webhook_urls, frozenset(settings.webhook_events), secret.encode())


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
        uses=KeyUses(storage.database),
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
