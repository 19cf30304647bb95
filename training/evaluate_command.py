"""`aegle evaluate`: what the test split of a cohort says of a bundle."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from models.detector import Detector
from models.device import choose_device
from training.bootstrap import RESAMPLES
from training.cohort import Cohort, read_cohort
from training.device import DeviceName
from training.evaluate import Evaluation, evaluate_detector
from training.evaluation_options import EvaluationOptions, Window, parse_window
from training.evaluation_table import print_evaluation
from training.report import write_report

PIPED_COLUMNS = 140


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")],
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Folder with cohort.csv, or the CSV itself.")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every number to this file.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.html, one page with pictures.")
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(help="column:low:high; also measure the rows inside. May be repeated."),
    ] = None,
    subgroup: Annotated[
        list[str] | None, typer.Option(help="Also measure by this column. May be repeated.")
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also PaDiM, PatchCore and feature PCA; takes minutes.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(min=10, help="Of the bootstrap.")] = RESAMPLES,
    device: Annotated[DeviceName, typer.Option(help="Where the network runs.")] = DeviceName.AUTO,
) -> None:
    """Measure a bundle on the test split, beside all baselines.

    Intervals are 95 % bootstrap intervals over patients. Nothing is chosen on the test split.

    Examples:

        aegle evaluate var/bundles/chest cohort/

        aegle evaluate var/bundles/brain cohort/ --window position:0.45:0.65 --json numbers.json

        aegle evaluate var/bundles/chest cohort/ --subgroup site --report var/report
    """
    options = EvaluationOptions(
        seed=seed,
        windows=tuple(_read_window(text) for text in window or ()),
        subgroups=tuple(subgroup or ()),
        resamples=resamples,
        peers=peers,
    )
    console = _open_console()
    detector = Detector.load(bundle, choose_device(device))
    evaluation = evaluate_with_progress(detector, read_cohort(cohort), options, console)
    print_evaluation(evaluation.summary, console)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(evaluation.summary, indent=2, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    if report is not None:
        page = write_report(evaluation, detector, report)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)


def evaluate_with_progress(
    detector: Detector, cohort: Cohort, options: EvaluationOptions, console: Console
) -> Evaluation:
    """Evaluate while a bar shows scans done, their rate and the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("evaluate", total=len(cohort.scans("test")))
        return evaluate_detector(detector, cohort, options, lambda: bar.advance(task))


def _open_console() -> Console:
    """Open the terminal; what is piped into a file gets lines as wide as the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_COLUMNS)


class _RateColumn(ProgressColumn):
    """Shows scans a second."""

    def render(self, task: Task) -> Text:
        """Show the rate, once there is one."""
        return Text(f"{task.speed:.1f} scans/s" if task.speed else "")


def _read_window(text: str) -> Window:
    try:
        return parse_window(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--window") from error
