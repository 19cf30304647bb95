"""`python -m tests.stress`: long rows of faults and attacks, in one table, with their bars."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.builders.bundles import train_tiny_bundle
from tests.builders.evaluations import write_lesion_cohort
from tests.contracts.threats import THREATS
from tests.stress.broken_dicom import send_broken_dicom
from tests.stress.faults import end_the_engine, lock_the_database, take_the_blobs_away
from tests.stress.hostile import hand_in_bombs
from tests.stress.kills import kill_job, kill_uploads
from tests.stress.memory import hold_memory
from tests.stress.overload import overload
from tests.stress.requests import draw_requests
from tests.stress.verdict import Order, Outcome, Row

ROWS = (
    Row("kill-uploads", "kill -9 in the middle of uploads", 20, kill_uploads),
    Row("kill-job", "kill -9 in the middle of a re-scoring job", 20, kill_job),
    Row("overload", "ten times what is scored, in rounds of five seconds", 6, overload),
    Row("memory", "a hundred scans a round, then twenty swaps of the bundle", 100, hold_memory),
    Row("hostile", "every bomb over REST", 3, hand_in_bombs),
    Row("engine", "the engine's thread ends", 3, end_the_engine),
    Row("database", "the database is locked for three seconds", 5, lock_the_database),
    Row("blobs", "the blob store is away for three seconds", 5, take_the_blobs_away),
    Row("dicom", "minutes of broken STOW messages and associations", 30, send_broken_dicom),
    Row("requests", "requests drawn from the OpenAPI document, an operation", 100, draw_requests),
)


WIDTH = 150


def run_stress(
    rows: Annotated[str, typer.Option(help="Names of rows, separated by commas.")] = "",
    rounds: Annotated[int, typer.Option(min=0, help="Of each row; 0 is its own number.")] = 0,
    is_threats: Annotated[
        bool, typer.Option("--threats", help="Show what is tried, its bar and its tests.")
    ] = False,
    is_list: Annotated[bool, typer.Option("--list", help="Show the rows and run none.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures too.")] = None,
) -> None:
    """Try long what the suite tries short; the status is 1 where a bar is missed.

    Examples:

        python -m tests.stress --rows kill-uploads,overload

        python -m tests.stress --rounds 2
    """
    console = Console(width=max(WIDTH, Console().width))
    chosen = _choose(rows)
    if is_list or is_threats:
        console.print(_draw_rows(chosen) if is_list else _draw_threats())
        return
    outcomes = _run(chosen, rounds, console)
    console.print(_draw(outcomes))
    for outcome in outcomes:
        for fault in outcome.faults[:20]:
            console.print(f"[red]{outcome.row}[/]: {fault}", markup=True, highlight=False)
    if json_file is not None:
        figures = [vars(outcome) | {"bars": [vars(bar) for bar in outcome.bars]}
                   for outcome in outcomes]  # fmt: skip
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if not all(outcome.is_met for outcome in outcomes):
        raise typer.Exit(1)


def _choose(names: str) -> list[Row]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {row.name: row for row in ROWS}
    for name in wanted:
        if name not in known:
            raise typer.BadParameter(f"{name}: expected some of {', '.join(known)}")
    return [known[name] for name in wanted] or list(ROWS)


def _run(rows: list[Row], rounds: int, console: Console) -> list[Outcome]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes = []
    with (
        tempfile.TemporaryDirectory(prefix="aegle-stress-") as place,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        folder = Path(place)
        cohort = write_lesion_cohort(folder / "cohort", has_series=False)
        bundle = train_tiny_bundle(cohort, folder / "tiny", folder / "work")
        for row in rows:
            task = progress.add_task(row.name, total=rounds or row.rounds)
            (folder / row.name).mkdir()
            order = Order(
                bundle,
                folder / row.name,
                rounds or row.rounds,
                lambda task=task: progress.advance(task),
            )
            outcomes.append(row.run(order))
    return outcomes


def _draw_rows(rows: list[Row]) -> Table:
    table = Table("row", "tries", "rounds")
    for row in rows:
        table.add_row(row.name, row.tries, str(row.rounds))
    return table


def _draw_threats() -> Table:
    table = Table("tried", "bar", "tests", "long row", show_lines=True)
    for threat in THREATS:
        table.add_row(threat.tried, threat.bar, "\n".join(threat.tests), threat.row)
    return table


def _draw(outcomes: list[Outcome]) -> Table:
    table = Table("row", "rounds", "acknowledged", "found", "lost", "twice", "ready", "bars", "")
    for outcome in outcomes:
        counts = (outcome.acknowledged, outcome.found, outcome.lost, outcome.twice)
        table.add_row(
            outcome.row,
            str(outcome.rounds),
            *("" if each is None else str(each) for each in counts),
            "" if outcome.ready_s is None else f"{outcome.ready_s:.2f} s",
            "\n".join(str(bar) for bar in outcome.bars),
            "[green]met[/]" if outcome.is_met else "[red]not met[/]",
        )
    return table


if __name__ == "__main__":
    typer.run(run_stress)
