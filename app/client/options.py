"""What the commands of the client share: where the service is, and how it is reached."""

import os
from typing import Annotated

import typer
from rich.console import Console

from app.auth.permissions import Permission
from app.client.access import read_access
from app.client.client import AegleClient
from app.client.patience import RetryRules
from app.errors import PermissionDenied
from app.settings import URL_VARIABLE
from models.errors import AegleError

Url = Annotated[str, typer.Option(envvar=URL_VARIABLE, help="Address of the service.")]
AllowHttp = Annotated[
    bool, typer.Option("--allow-http", help="Trust the network: key and scans go unencrypted.")
]
PatienceS = Annotated[
    float, typer.Option("--patience", min=0.0, help="Seconds to try on while it is busy or away.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

PATIENCE_S = RetryRules().patience_s
_TOLD_PAUSE_S = 2.0


def open_client(url: str, patience_s: float, console: Console, *, allows_http: bool) -> AegleClient:
    """Make a client with the key of the environment; long pauses are told on the console."""

    def tell_pause(reason: AegleError, pause_s: float) -> None:
        if pause_s >= _TOLD_PAUSE_S:
            console.print(f"{reason} Trying again in {pause_s:.0f} s.", markup=False, style="dim")

    access = read_access(url, os.environ, allows_http=allows_http)
    return AegleClient(access, rules=RetryRules(patience_s=patience_s), tell_pause=tell_pause)


def check_caller(client: AegleClient, needed: Permission) -> None:
    """Learn at once that the address is wrong, or that the key may not do this.

    Raises:
        PermissionDenied: the key lacks the permission.
        AegleError: the service does not answer, or does not know the key.
    """
    caller = client.fetch_caller()
    if needed not in caller.permissions:
        raise PermissionDenied(f"this key lacks {needed.value}")
