"""`aegle serve`: reads the settings, starts the service, prints the setup secret at first start."""

import socket
import sys
from contextlib import suppress
from threading import Event
from types import FrameType

import typer
import uvicorn

from app.auth.access import Access
from app.auth.service import prepare_setup
from app.errors import SettingsError
from app.logs import set_up_logs
from app.main import Service, create_app
from app.settings import PREFIX, Settings, read_settings

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
    settings = read_settings()
    set_up_logs(settings.log_level)
    listener = open_listener(settings.host, settings.port)
    service = create_app(settings)
    secret = draw_setup_secret(service.state.access)
    if secret is not None:
        # Printed, not logged: logs are kept and shipped.
        typer.echo(f"First start: open {settings.find_public_url()} to set up the administrator.")
        typer.echo(f"Setup secret (valid once, renewed at each start until used): {secret}")
    run_server(service, settings, listener)


def open_listener(host: str, port: int) -> socket.socket:
    """Take a port, before anything is opened or told.

    Raises:
        SettingsError: another program has it, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio takes connections for something else than TCP and leaves Nagle's delay on:
    # each answer would then wait 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or type(error).__name__
        raise SettingsError(
            f"cannot listen at {host}, port {port} ({reason}); {PREFIX}PORT names another"
        ) from None
    return listener


def run_server(service: Service, settings: Settings, listener: socket.socket) -> None:
    """Answer requests until a signal asks to end; what was accepted is finished.

    Raises:
        typer.Exit: the service did not come up.
    """
    sys.setswitchinterval(SWITCH_S)
    config = uvicorn.Config(
        service,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = EndingServer(config, service.state.ending)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
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


def draw_setup_secret(access: Access) -> str | None:
    """Give a new setup secret; None where there is an administrator, or others tell who is one."""
    if access.oidc is not None:
        return None
    with access.database.transaction() as session:
        return prepare_setup(session, access.clock.now())
