"""Puts the pages into an application: their routes, what they are made from, the error page."""

from fastapi import FastAPI

from app.web.bundle_facts import BundleLibrary
from app.web.case_routes import router as case_router
from app.web.drawing import Drawing, read_assets
from app.web.entry_routes import router as entry_router
from app.web.error_page import draw_error
from app.web.pages import Pages
from app.web.worklist_routes import router as worklist_router

ROUTERS = (entry_router, worklist_router, case_router)


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
    service.state.draw_error = draw_error
    for router in ROUTERS:
        service.include_router(router)
