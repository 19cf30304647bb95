"""A service on a port of its own, with people who are signed in, and the browser that they use."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from app.auth.permissions import ROLES, Role
from app.auth.service import open_session
from app.auth.tables import UserRow
from app.main import Service, create_app
from app.settings import Settings
from app.storage.identifiers import draw_id
from app.web.drawing import STATIC, read_assets
from tests.builders.services import READY_S, await_ready, make_key

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
SCREEN = {"width": 1280, "height": 720}


@dataclass(frozen=True, slots=True)
class Site:
    """A running service."""

    address: str
    service: Service
    client: TestClient

    def open_session(self, name: str = "Dr. Reader", role: Role = Role.ADMIN) -> str:
        """Make a user and give the token of a session."""
        access = self.service.state.access
        now = access.clock.now()
        with access.database.transaction() as session:
            user = UserRow(
                id=draw_id(now), issuer="test", subject=f"{name}-{draw_id(now)}", name=name,
                role=role.value, created_at=now,
            )  # fmt: skip
            session.add(user)
            session.flush()
            return open_session(session, user, None, access.life, now)

    def send(self, content: bytes, **fields: str) -> dict[str, Any]:
        """Hand a scan in and wait for its finding; gives the case."""
        answer = self.client.post(
            "/api/v1/scans", params={"wait": 30}, files={"file": content}, data=fields
        )
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()["cases"][0]


def tell_why_not() -> str:
    """Say why there can be no browser tests here; empty where there can."""
    if not Path(CHROMIUM).is_file():
        return "no chromium on this machine: apt-get install chromium"
    if not read_assets(STATIC).is_built:
        return "the pages are not built: make pages (needs Node 20 or newer)"
    return ""


def launch(playwright: Playwright) -> Browser:
    """Start the browser."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))


@contextmanager
def run_site(settings: Settings) -> Iterator[Site]:
    """Run a service in a thread, on a free port of the loopback address."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    service = create_app(settings)
    config = uvicorn.Config(service, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield _connect(service, address, is_scoring=settings.bundle is not None)
    finally:
        server.should_exit = True
        thread.join(READY_S)
        listening.close()


def _connect(service: Service, address: str, *, is_scoring: bool) -> Site:
    # Not entered: the application lives in its own thread already, this client only calls it.
    client = TestClient(service, base_url=address)
    client.headers.update(make_key(service, *ROLES[Role.ADMIN]))
    if is_scoring:
        await_ready(client)
    return Site(address, service, client)


def open_context(
    browser: Browser, site: Site, token: str | None = None, **options: Any
) -> BrowserContext:
    """Open a browser of somebody, signed in with the token of a session."""
    context = browser.new_context(
        base_url=site.address, **({"viewport": SCREEN, "color_scheme": "dark"} | options)
    )
    context.set_default_timeout(60_000)
    if token is not None:
        context.add_cookies([{"name": "aegle_session", "value": token, "url": site.address}])
    return context


def await_viewer(page: Page) -> None:
    """Wait until the viewer has drawn its first slice."""
    page.wait_for_selector("#viewer[data-state=ready]")


def await_true(page: Page, script: str) -> None:
    """Wait until an expression holds; the pages' policy forbids to evaluate inside of them."""
    deadline = time.monotonic() + READY_S
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        time.sleep(0.05)
