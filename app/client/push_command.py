"""`aegle push`: files, folders, series and zips to a running service."""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.auth.permissions import Permission
from app.client.client import AegleClient
from app.client.deliveries import REFUSED, write_lines, write_object
from app.client.errors import make_printable
from app.client.journal import Journal, choose_journal
from app.client.options import (
    PATIENCE_S,
    AllowHttp,
    AsJson,
    PatienceS,
    Url,
    check_caller,
    open_client,
)
from app.client.push import Delivery, Push, PushOrder
from app.client.push_bar import PushBar
from app.intake.schemas import UploadFields
from models.decoding.listing import describe_passed_over, write_passed_over
from models.errors import AegleError

UNREADABLE_STATUS = 2
MOST_CONNECTIONS = 64


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("push")(push)


def push(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders, series, zips.")
    ],
    url: Url,
    site: Annotated[
        str | None, typer.Option(help="Where the scans come from, if they do not say.")
    ] = None,
    waits: Annotated[bool, typer.Option("--wait", help="Wait for every verdict.")] = False,
    as_json: AsJson = False,
    connections: Annotated[
        int, typer.Option(min=1, max=MOST_CONNECTIONS, help="Uploads at the same time.")
    ] = 8,
    journal: Annotated[
        Path | None, typer.Option(help="Where acknowledged uploads are remembered.")
    ] = None,
    patience: PatienceS = PATIENCE_S,
    allow_http: AllowHttp = False,
) -> None:
    """Send scans to a running service; the key comes from AEGLE_API_KEY or AEGLE_API_KEY_FILE.

    Slices of one DICOM series are sent together and become one case. What was acknowledged is
    remembered: run an interrupted push again, and it sends the rest. Exit status 0 whatever the
    verdicts; 2 where a scan was refused, the others are sent. Hidden files, plain text and DICOMDIR
    in folders are passed over; it ends with how many.

    Examples:

        aegle push scans/ --url https://aegle.example.org --wait

        aegle push series/ study.zip --url http://127.0.0.1:8080 --site "North clinic" --json
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    order = PushOrder(connections, waits, UploadFields(site=site))
    with open_client(url, patience, console, allows_http=allow_http) as client:
        check_caller(client, Permission.SEND_SCANS)
        place = journal or choose_journal(client.access, os.environ)
        bar = push_paths(client, paths, place, order, console, as_json=as_json)
    console.print(str(bar), markup=False)
    if bar.tally.counts[REFUSED]:
        raise typer.Exit(UNREADABLE_STATUS)


def push_paths(
    client: AegleClient,
    paths: Sequence[Path],
    journal: Path,
    order: PushOrder,
    console: Console,
    *,
    as_json: bool | None,
) -> PushBar:
    """Send what lies under the paths, with a bar on the console, and give its final state.

    Args:
        client: whom to.
        paths: files and folders.
        journal: where acknowledged uploads are remembered.
        order: how.
        console: shows the bar, and what interrupted the push.
        as_json: a JSON object for each parcel on the standard output, or a line; None is nothing.

    Raises:
        AegleError: no further scan can be sent.
    """
    with PushBar(console) as bar, Journal(journal) as remembered:
        run = Push(client, remembered, order, bar.advance).run(bar.begin(paths))
        try:
            with closing(run) as deliveries:
                for delivery in deliveries:
                    bar.settle(delivery)
                    _tell(delivery, as_json=as_json)
        except (AegleError, KeyboardInterrupt):
            console.print("Stopped; the same command again sends the rest.", style="yellow")
            raise
    _tell_passed_over([str(path) for path in bar.passed_over], console, as_json=as_json)
    return bar


def _tell(delivery: Delivery, *, as_json: bool | None) -> None:
    if as_json is None:
        return
    lines = [json.dumps(write_object(delivery))] if as_json else write_lines(delivery)
    for line in lines:
        typer.echo(line)


def _tell_passed_over(paths: list[str], console: Console, *, as_json: bool | None) -> None:
    if not paths or as_json is None:
        return
    console.print(make_printable(describe_passed_over(paths)), markup=False)
    if as_json:
        typer.echo(json.dumps(write_passed_over(paths)))
