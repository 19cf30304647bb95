"""The frame around every page: who reads, where to go, which bundle scores, what it is not."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from app.analysis.engine import Engine, EngineState
from app.audit.service import Action, Event, record_event
from app.auth.permissions import Permission, Principal
from app.cases.viewing import ViewLog
from app.clock import Clock
from app.storage.opening import Storage
from app.web.bundle_facts import BundleFacts, BundleLibrary
from app.web.drawing import Drawing

THEME_COOKIE = "aegle_theme"
THEMES = ("light", "dark")

_LINKS = (
    ("/worklist", "Worklist", Permission.READ_CASES),
    ("/upload", "Upload", Permission.SEND_SCANS),
    ("/bundles", "Bundles", Permission.READ_BUNDLES),
    ("/jobs", "Jobs", Permission.READ_JOBS),
    ("/monitoring", "Monitoring", Permission.READ_MONITORING),
    ("/audit", "Audit", Permission.READ_AUDIT),
    ("/access", "Access", Permission.MANAGE_ACCESS),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A place to go."""

    address: str
    text: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page shows around its own view; `alarm` says why nothing is scored."""

    title: str
    theme: str
    version: str
    caller: Principal | None
    links: tuple[Link, ...]
    bundle: BundleFacts | None
    alarm: str


@dataclass(frozen=True, slots=True)
class Pages:
    """What pages are made from; one for each application, in `app.state.pages`."""

    drawing: Drawing
    storage: Storage
    engine: Engine
    bundles: BundleLibrary
    views: ViewLog
    clock: Clock

    def show(
        self, request: Request, caller: Principal | None, template: str, title: str, **view: object
    ) -> HTMLResponse:
        """Answer with a whole page.

        Raises:
            PagesNotBuilt: scripts and styles are missing.
        """
        self.drawing.check()
        frame = self.build_frame(request, caller, title)
        return HTMLResponse(self.drawing.draw(template, frame=frame, **view))

    def show_part(self, template: str, **view: object) -> HTMLResponse:
        """Answer with a part of a page, to be put in its place."""
        return HTMLResponse(self.drawing.draw(template, **view))

    def build_frame(self, request: Request, caller: Principal | None, title: str) -> Frame:
        """Put together what stands around a page."""
        theme = request.cookies.get(THEME_COOKIE, "")
        status = self.engine.status
        is_known = caller is not None
        return Frame(
            title=title,
            theme=theme if theme in THEMES else "",
            version=version("aegle"),
            caller=caller,
            links=_list_links(request.url.path, caller),
            bundle=self.bundles.find(status.live_digest) if is_known else None,
            alarm=status.reason if is_known and status.state is not EngineState.READY else "",
        )

    def note_page(self, caller: Principal, name: str) -> None:
        """Write to the audit trail that somebody saw a page."""
        event = Event(caller.id, Action.PAGE_VIEWED, f"page:{name}", {})
        with self.storage.database.transaction() as session:
            record_event(session, event, self.clock.now())


def get_pages(request: Request) -> Pages:
    """Give what pages are made from, of the application that answers."""
    pages: Pages = request.app.state.pages
    return pages


ThePages = Annotated[Pages, Depends(get_pages)]


def _list_links(path: str, caller: Principal | None) -> tuple[Link, ...]:
    if caller is None:
        return ()
    return tuple(
        Link(address, text, path.startswith(address))
        for address, text, permission in _LINKS
        if caller.may(permission)
    )
