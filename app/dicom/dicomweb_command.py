"""The commands `aegle dicomweb check` and `aegle dicomweb pull`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx2
import typer
from rich.console import Console
from rich.table import Table

from app.dicom.conformance import Checker, Outcome
from app.dicom.conformance_objects import draw_sample
from app.dicom.pull import pull_objects
from app.errors import InvalidRequest

_TIMEOUT_S = 60.0
_Url = Annotated[str, typer.Argument(help="Root of DICOMweb, such as https://pacs/dicom-web.")]
_Token = Annotated[
    str | None, typer.Option(envvar="DICOMWEB_TOKEN", help="Bearer token, if one is needed.")
]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="dicomweb", no_args_is_help=True, help="DICOMweb servers, from outside."
    )
    group.command("check")(check)
    group.command("pull")(pull)
    cli.add_typer(group)


def check(
    url: _Url,
    token: _Token = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check that a server does STOW-RS, QIDO-RS and WADO-RS as viewers rely on it.

    Three small objects of the patient AEGLE-CHECK are stored and stay there. The exit status is 1
    where a demand is missed.

    Examples:

        aegle dicomweb check http://127.0.0.1:8042/dicom-web

        aegle dicomweb check https://pacs/dicom-web --json > report.json
    """
    with _open(url, token) as client:
        lines = list(Checker(client, draw_sample()).run())
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        table = Table(title=f"DICOMweb at {urlsplit(url).netloc}")
        for name in ("service", "PS3.18", "demand", "outcome", "found"):
            table.add_column(name)
        for line in lines:
            table.add_row(line.service, line.section, line.demand, line.outcome, line.found)
        Console(width=None if Console().is_terminal else 140).print(table)
    if any(line.outcome is Outcome.MISSED for line in lines):
        raise typer.Exit(1)


def pull(
    url: _Url,
    study: Annotated[str, typer.Argument(help="Study Instance UID.")],
    out: Annotated[Path, typer.Option(help="Folder that the files go to.")],
    series: Annotated[str | None, typer.Option(help="One series of it only.")] = None,
    token: _Token = None,
) -> None:
    """Fetch a study or series by WADO-RS into a folder, one file an object.

    Examples:

        aegle dicomweb pull https://pacs/dicom-web 1.2.3 --out study/

        aegle score var/bundles/chest study/
    """
    with _open(url, token) as client:
        count = pull_objects(client, study, series, out)
    typer.echo(f"{count} objects in {out}")


def _open(url: str, token: str | None) -> httpx2.Client:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequest("the address must begin with http:// or https://")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.Client(
        base_url=url.rstrip("/") + "/",
        headers=headers,
        timeout=_TIMEOUT_S,
        trust_env=False,
        follow_redirects=False,
    )
