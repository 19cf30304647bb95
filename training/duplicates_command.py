"""`aegle duplicates`: pictures that a cohort holds twice."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from models.decoding.limits import DecodeLimits
from training.cohort import Cohort, read_cohort
from training.device import count_processors
from training.duplicates import DuplicateReport, check_duplicates, find_duplicates


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("duplicates")(duplicates)


def duplicates(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="Folder or cohort.csv.")],
) -> None:
    """Find equal files and pictures that look the same, within and across splits.

    Exit status 2 where a file of the test split is also in the training split.

    Examples:

        aegle duplicates cohort/
    """
    console = Console(highlight=False, soft_wrap=True)
    report = compare_files(read_cohort(cohort), console)
    for kind, pairs in (("equal", report.exact), ("near", report.near)):
        for pair in pairs:
            where = "across splits" if pair.across_splits else "within a split"
            console.print(f"{kind}, {where}: {pair.first} = {pair.second}", markup=False)
    console.print(str(report), markup=False)
    check_duplicates(report)


def compare_files(cohort: Cohort, console: Console) -> DuplicateReport:
    """Look for duplicates while a bar shows the files done."""
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("look for duplicates", total=None)
        return find_duplicates(
            cohort,
            DecodeLimits(),
            workers=count_processors(),
            progress=lambda done, total: bars.update(task, completed=done, total=total),
        )
