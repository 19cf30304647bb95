"""`aegle serve`: reads the settings, starts the service, prints the setup secret at first start."""

import sys
from contextlib import suppress
from threading import Event
from types import FrameType

import typer
import uvicorn

from app.auth.access import Access
from app.auth.service import prepare_setup
from app.logs import set_up_logs
from app.main import create_app
from app.settings import read_settings

SHUTDOWN_S = 60
# The engine's thread comes back to Python after each kernel of the network. With the interpreter's
# own 5 ms it would wait that long for threads that answer requests, and score half as many scans.
SWITCH_S = 0.0005
STARTUP_FAILURE = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve() -> None:
    """Run the service; settings come from AEGLE_... and the file named by AEGLE_SETTINGS_FILE.

    Examples:

        aegle serve

        AEGLE_BUNDLE=var/demo/bundle AEGLE_PORT=8090 aegle serve
    """
    sys.setswitchinterval(SWITCH_S)
    settings = read_settings()
    set_up_logs(settings.log_level)
    service = create_app(settings)
    _tell_setup_secret(service.state.access, settings.find_public_url())
    config = uvicorn.Config(
        service,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = EndingServer(config, service.state.ending)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(STARTUP_FAILURE)


class EndingServer(uvicorn.Server):
    """Tells streams that the service is asked to end; it waits for them."""

    def __init__(self, config: uvicorn.Config, ending: Event) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the signal to end."""
        self._ending.set()
        super().handle_exit(sig, frame)


def _tell_setup_secret(access: Access, address: str) -> None:
    # Printed, not logged: logs are kept and shipped.
    if access.oidc is not None:
        return
    with access.database.transaction() as session:
        secret = prepare_setup(session, access.clock.now())
    if secret is not None:
        typer.echo(f"First start: open {address} and set up the administrator.")
        typer.echo(f"Setup secret (valid once, renewed at each start until used): {secret}")
