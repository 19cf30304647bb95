"""Puts the pages into an application: their routes, what they are made from, the error page."""

from fastapi import FastAPI
from pydantic import SecretStr

from app.settings import Settings
from app.web.access_routes import router as access_router
from app.web.account_routes import router as account_router
from app.web.audit_routes import router as audit_router
from app.web.bundle_facts import BundleLibrary
from app.web.bundle_routes import router as bundle_router
from app.web.case_routes import router as case_router
from app.web.drawing import Drawing, read_assets
from app.web.entry_routes import router as entry_router
from app.web.error_page import draw_error
from app.web.help_routes import router as help_router
from app.web.job_routes import router as job_router
from app.web.monitoring_routes import router as monitoring_router
from app.web.pages import Pages
from app.web.upload_routes import router as upload_router
from app.web.worklist_routes import router as worklist_router

ROUTERS = (
    entry_router,
    worklist_router,
    case_router,
    upload_router,
    bundle_router,
    job_router,
    audit_router,
    access_router,
    monitoring_router,
    account_router,
    help_router,
)


def add_pages(service: FastAPI) -> None:
    """Let an application that is put together answer with pages."""
    state = service.state
    state.pages = Pages(
        drawing=Drawing(read_assets()),
        storage=state.storage,
        engine=state.intake.line.engine,
        bundles=BundleLibrary(state.bundles.folder),
        views=state.views,
        clock=state.access.clock,
    )
    state.settings_lines = list_settings(state.settings)
    service.state.draw_error = draw_error
    for router in ROUTERS:
        service.include_router(router)


def list_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """Give name, value in force and meaning of each setting; secrets are only told to be set."""
    return [
        (name, _tell_value(getattr(settings, name)), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _tell_value(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set, not shown"
    return "not set" if value is None else str(value)
