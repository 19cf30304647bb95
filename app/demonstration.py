"""The service part of `aegle demo`: a bundle served, scans loaded through the public API.

Everything it keeps lies in one folder; run again, it goes on with what is there.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from threading import Thread

import typer
from rich.console import Console

from app.auth.access import Access
from app.auth.permissions import ROLES, Role
from app.auth.repository import AccessRepository
from app.auth.service import KeyOrder, create_key
from app.auth.tokens import KeyToken, parse_key
from app.bundles.reports import keep_report
from app.bundles.repository import BundleRepository
from app.bundles.states import BundleState
from app.client.access import ServiceAccess
from app.client.client import AegleClient
from app.client.push import PushOrder
from app.client.push_command import push_paths
from app.errors import SettingsError
from app.intake.schemas import UploadFields
from app.logs import set_up_logs
from app.main import Service, create_app
from app.serve import draw_setup_secret, open_listener, run_server
from app.settings import KEY_FILE_VARIABLE, PREFIX, Settings, read_settings
from models.errors import AegleError

KEY_NAME = "demonstration"
SITE = "Demonstration"
_CONNECTIONS = 4
_PORTS_TRIED = 20
_BY = "command"


@dataclass(frozen=True, slots=True)
class _Start:
    """What is told of a service that has started; no secret where it was used before."""

    settings: Settings
    key_file: Path
    key: KeyToken
    secret: str | None
    service: Service


def serve_demo(bundle: Path, scans: Path, folder: Path) -> None:
    """Serve a bundle until interrupted, with the scans under a folder loaded through the API.

    Args:
        bundle: becomes live at the first start; the evaluation in `report/` beside it is shown.
        scans: sent once; a later run sends what is new.
        folder: where the service keeps its data.

    Raises:
        SettingsError: this demonstration runs already, or there is no port for it.
    """
    console = Console(highlight=False, soft_wrap=True)
    base = read_settings()
    set_up_logs(base.log_level if "log_level" in base.model_fields_set else "warning")
    with _lock(folder) as lock:
        settings, listener = _take_port(base, console)
        settings = settings.model_copy(
            update={"data_folder": folder, "bundle": bundle, "database_url": None, "blob_url": None}
        )
        lock.write_text(settings.find_public_url())
        service = create_app(settings)
        key = _keep_key(service.state.access, folder / "demonstration.key")
        secret = draw_setup_secret(service.state.access)
        start = _Start(settings, folder / "demonstration.key", key, secret, service)
        report = bundle.parent / "report" / "report.html"
        console.print(f"\nStarting the service at {settings.find_public_url()} ...")
        with AegleClient(ServiceAccess(settings.find_public_url(), key)) as client:
            loads = (client, scans, start, console, report)
            loader = Thread(target=_load, args=loads, daemon=True)
            loader.start()
            try:
                run_server(service, settings, listener)
            finally:
                client.halt()
                loader.join()
        console.print("Stopped; `make demo` starts it again with all its cases.")


@contextmanager
def _lock(folder: Path) -> Iterator[Path]:
    """Keep a second demonstration away from this folder; the file tells where the first is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "demonstration.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(
            f"the demonstration runs already: {path.read_text() or 'it is starting'}"
        ) from None
    else:
        yield path
    finally:
        os.close(descriptor)


def _take_port(settings: Settings, console: Console) -> tuple[Settings, socket]:
    """Take the port of the settings; unless it was chosen, one of the next when it is taken."""
    tried = 1 if "port" in settings.model_fields_set else _PORTS_TRIED
    for port in range(settings.port, settings.port + tried):
        try:
            listener = open_listener(settings.host, port)
        except SettingsError:
            if port == settings.port + tried - 1:
                raise
        else:
            if port != settings.port:
                console.print(f"Port {settings.port} is taken: {port} serves instead.")
            return settings.model_copy(update={"port": port}), listener
    raise SettingsError("there is no free port")


def _keep_key(access: Access, file: Path) -> KeyToken:
    """Give the key that the scans are sent with, always the same: a scan is known by its sender."""
    now = access.clock.now()
    key = parse_key(file.read_text(encoding="utf-8").strip()) if file.is_file() else None
    with access.database.transaction() as session:
        row = None if key is None else AccessRepository(session).find_key(key.id)
        if key is not None and row is not None and row.revoked_at is None:
            return key
        _, key = create_key(session, KeyOrder(KEY_NAME, ROLES[Role.SENDER]), _BY, now)
    file.touch(mode=0o600)
    file.write_text(f"{key}\n", encoding="utf-8")
    return key


def _load(client: AegleClient, scans: Path, start: _Start, console: Console, report: Path) -> None:
    """Send the scans, then tell how to go on; the service stays whatever comes of them."""
    order = PushOrder(_CONNECTIONS, waits=True, fields=UploadFields(site=SITE))
    journal = start.settings.data_folder / "demonstration.jsonl"
    try:
        bar = push_paths(client, [scans], journal, order, console, as_json=None)
    except AegleError as error:
        if not client.is_halted:
            console.print(f"The scans were not loaded: {error.code}: {error}", markup=False)
            _tell_start(start)
        return
    console.print(str(bar), markup=False)
    try:
        _hand_in(start.service, report)
    except AegleError as error:
        console.print(f"The report is not shown: {error.code}: {error}", markup=False)
    _tell_start(start)


def _hand_in(service: Service, report: Path) -> None:
    """Let the page of the live bundle show its evaluation, once."""
    storage, clock = service.state.storage, service.state.access.clock
    with storage.database.reading() as session:
        live = BundleRepository(session).find_in(BundleState.LIVE)
        if live is None or BundleRepository(session).find_report(live.digest) is not None:
            return
    if report.is_file():
        with storage.blobs.draft() as draft:
            draft.write(report.read_bytes())
            keep_report(storage, live.digest, draft, _BY, clock)


def _tell_start(start: _Start) -> None:
    """Print where the service is and what to do next; the secret is never logged."""
    address = start.settings.find_public_url()
    folder = start.settings.data_folder
    # As it was called: `.venv/bin/aegle` by make.
    aegle = sys.argv[0] if Path(sys.argv[0]).name == "aegle" else "aegle"
    typer.echo(f"\nAegle is running at {address}   (Ctrl-C stops it)\n")
    if start.secret is not None:
        typer.echo(f"Setup secret: {start.secret}")
        typer.echo(
            "  It is valid once, for the administrator's name and password; a start renews it"
        )
        typer.echo(f"  until it is used. Open {address} to use it.")
    else:
        typer.echo(f"The administrator was set up before: log in at {address}.")
        typer.echo(f"  Password forgotten? Remove {folder} and start again.")
    typer.echo("Send scans of your own:")
    typer.echo(
        f"  {KEY_FILE_VARIABLE}={start.key_file} {aegle} push PATH... --url {address} --wait"
    )
    typer.echo("Make a key for a tool:")
    typer.echo(f'  {PREFIX}DATA_FOLDER={folder} {aegle} keys create "CT 1" --role sender')
