"""`aegle decode`: which files can be decoded, how fast, and whether others agree."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.decoding.limits import DecodeLimits
from training.decode_report import (
    EncodingSummary,
    FileOutcome,
    describe_outcomes,
    list_files,
    measure_files,
    summarize_outcomes,
)
from training.independent_decoders import find_tools

DIFFERS_STATUS = 1
MEBI = 2**20


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("decode")(decode)


def decode(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    with_table: Annotated[
        bool, typer.Option("--table", help="Only the table, no line for each refused file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    compare: Annotated[
        bool, typer.Option(help="Compare stored values with the tools of DCMTK and GDCM.")
    ] = False,
) -> None:
    """Decode files one by one in a bounded child process, and say what became of them.

    Exit status 0; 1 where another decoder reads a file otherwise, or reads one that is refused.

    Examples:

        aegle decode scans/

        aegle decode scans/ --table --compare
    """
    if compare and not find_tools():
        raise typer.BadParameter("none of dcmdjpeg, dcmdjpls, dcmdrle, dcmconv, gdcmconv is here")
    files = list_files(paths)
    measured = measure_files(files, DecodeLimits(), is_compared=compare)
    progress = Console(stderr=True)
    outcomes = list(
        track(measured, total=len(files), description="decode", console=progress, transient=True)
    )
    if as_json:
        typer.echo(json.dumps(describe_outcomes(outcomes), indent=2))
    else:
        console = Console(highlight=False)
        if not with_table:
            _print_remarkable(outcomes, console)
        console.print(_build_table(outcomes, is_compared=compare))
    if any(outcome.comparison == "differs" for outcome in outcomes):
        raise typer.Exit(DIFFERS_STATUS)


def _print_remarkable(outcomes: list[FileOutcome], console: Console) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            console.print(f"{outcome.path}  refused  {outcome.error}", markup=False, soft_wrap=True)
        if outcome.comparison == "differs":
            console.print(f"{outcome.path}  others differ", markup=False, soft_wrap=True)


def _build_table(outcomes: list[FileOutcome], *, is_compared: bool) -> Table:
    table = Table("encoding", "files", "decoded", "refused", title="Decoding")
    if is_compared:
        for heading in ("equal", "differs", "no other reads"):
            table.add_column(heading, justify="right")
    table.add_column("slowest s", justify="right")
    table.add_column("peak MiB", justify="right")
    summaries = summarize_outcomes(outcomes)
    for summary in summaries:
        table.add_row(*_list_cells(summary, is_compared=is_compared))
    table.caption = (
        f"{len(outcomes)} files, {sum(summary.decoded for summary in summaries)} decoded"
    )
    return table


def _list_cells(summary: EncodingSummary, *, is_compared: bool) -> list[str]:
    refused = ", ".join(f"{code} {count}" for code, count in summary.refused.items())
    counts = [summary.equal, summary.differs, summary.unread] if is_compared else []
    return [
        summary.encoding,
        str(summary.files),
        str(summary.decoded),
        refused,
        *(str(count) for count in counts),
        f"{summary.slowest_s:.2f}",
        f"{summary.peak_bytes / MEBI:.0f}",
    ]
