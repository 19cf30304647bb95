"""`aegle evidence`: every method beside every baseline on every cohort at hand, on one page."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.device import choose_device
from models.errors import AegleError, InvalidCohort
from training.device import DeviceName
from training.evidence import (
    AUTO,
    REFERENCE,
    Cell,
    EvidencePlan,
    Record,
    fill_cell,
    find_cohorts,
    find_recipe,
    read_records,
)
from training.evidence_page import build_head, build_page

# Where the few lines for the README stand in it.
MARKS = ("<!-- evidence -->", "<!-- end of evidence -->")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("evidence")(evidence)


def evidence(
    data: Annotated[
        Path, typer.Argument(envvar="AEGLE_REAL_DATA", help="Folder with cohorts as subfolders.")
    ],
    out: Annotated[Path, typer.Option(help="Keeps bundles, reports and finished cells.")] = Path(
        "var/evidence"
    ),
    page: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    head: Annotated[
        Path | None, typer.Option(help="Write the short table into this file, between its marks.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="`auto`, a recipe, or an ablation. May be repeated."),
    ] = None,
    cohort: Annotated[
        list[str] | None, typer.Option(help="Only this subfolder. May be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of each method.")] = 3,
    peers: Annotated[
        bool, typer.Option(help="Fit the peers too, minutes for each seed of the default.")
    ] = True,
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Run no cell: draw what is there.")
    ] = False,
    budget: Annotated[float, typer.Option(min=0.0, help="Minutes of `auto`.")] = 15.0,
    device: Annotated[DeviceName, typer.Option(help="Where the network runs.")] = DeviceName.AUTO,
) -> None:
    """Train and measure every method on every cohort, and write the page.

    Finished cells are kept: the same command goes on where it was killed.

    Examples:

        aegle evidence data/ --seeds 1 --cohort chest_xray

        aegle evidence data/ --method auto --method default --page training/EVIDENCE.md
    """
    found = find_cohorts(data)
    chosen = {name: path for name, path in found.items() if not cohort or name in cohort}
    if not chosen:
        raise InvalidCohort(f"no cohort in {data}: expected subfolders with a cohort.csv")
    methods = tuple(method or (AUTO, REFERENCE, "ae", "vae"))
    for name in methods:
        if name != AUTO:
            find_recipe(name)
    plan = EvidencePlan(chosen, methods, seeds, out, 60.0 * budget, choose_device(device), peers)
    console = Console(highlight=False, soft_wrap=True)
    wanted = plan.list_cells()
    if not page_only:
        _fill(plan, wanted, console)
    records = list(read_records(out))
    text = build_page(records, wanted, datetime.fromtimestamp(time.time(), UTC))
    if page is not None:
        page.write_text(text, encoding="utf-8")
    if head is not None:
        _write_head(head, records)
    console.print(text if page is None else f"page: {page}", markup=False)


def _fill(plan: EvidencePlan, wanted: list[Cell], console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("evidence", total=len(wanted))
        for cell in wanted:
            bar.update(task, description=f"{cell.cohort} {cell.method} {cell.seed}")
            try:
                fill_cell(plan, cell)
            except AegleError as error:
                # One cohort that cannot be used spoils no other; the page tells it was not run.
                console.print(f"{cell.cohort} {cell.method} {cell.seed}: {error}", markup=False)
            bar.advance(task)


def _write_head(file: Path, records: list[Record]) -> None:
    """Replace what stands between the marks of a file.

    Raises:
        InvalidCohort: the file has no marks.
    """
    before, mark, rest = file.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise typer.BadParameter(f"{file} has no marks {MARKS[0]} and {MARKS[1]}")
    text = f"{before}{mark}\n{build_head(records)}{end}{after}"
    file.write_text(text, encoding="utf-8")
