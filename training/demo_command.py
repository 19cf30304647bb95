"""`aegle demo`: the whole road on the embedded demonstration cohort."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from models.bundle.layout import is_bundle
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.device import choose_device
from training.card_metrics import measure_for_card
from training.cohort import Cohort, read_cohort
from training.cohort_table import TEST
from training.dataset import decode_cohort_scan
from training.device import DeviceName
from training.distributed import SINGLE
from training.evaluate_command import evaluate_with_progress
from training.evaluation_options import EvaluationOptions
from training.evaluation_table import print_evaluation
from training.phantoms import write_demo_cohort
from training.pictures import write_picture
from training.recipe import read_recipe
from training.report import write_report
from training.train import TrainingRun, train_bundle
from training.watch import watch_console

SEED = 0
PICTURES = 12


# Serves a bundle with the scans of a folder loaded, and keeps its data in another.
ServeDemo = Callable[[Path, Path, Path], None]


def register(app: typer.Typer, serve_demo: ServeDemo) -> None:
    """Add the command to the command line.

    Args:
        app: the command line.
        serve_demo: what `--serve` ends with; takes bundle, scans and the service's folder.
    """

    @app.command("demo")
    def demo(
        out: Annotated[Path, typer.Option(help="Folder of the demonstration.")] = Path("var/demo"),
        device: Annotated[
            DeviceName, typer.Option(help="Where the network runs.")
        ] = DeviceName.AUTO,
        serves: Annotated[
            bool, typer.Option("--serve", help="Then serve it, with the test scans loaded.")
        ] = False,
    ) -> None:
        """Train on an embedded cohort of synthetic heads, evaluate, and draw what was found.

        A second run keeps what is there: remove the folder to start again.

        Examples:

            aegle demo --out var/demo

            aegle demo --serve
        """
        make_demo(out, device)
        if serves:
            serve_demo(out / "bundle", out / "cohort" / TEST, out / "service")


def make_demo(out: Path, device: DeviceName) -> None:
    """Make cohort, bundle, evaluation and pictures, each unless it is there."""
    console = Console(highlight=False, soft_wrap=True)
    console.print("Synthetic heads, made from the MNI152 template: for demonstration only.")
    cohort = _make_cohort(out / "cohort", console)
    _train(cohort, out, device, console)
    detector = Detector.load(out / "bundle", choose_device(device))
    summary = _evaluate(detector, cohort, out, console)
    print_evaluation(summary, Console())
    _draw(detector, cohort, out / "pictures", console)
    for title, name in (
        ("bundle", "bundle"),
        ("card", "bundle/card.md"),
        ("report", "report/report.html"),
        ("pictures", "pictures"),
    ):
        console.print(f"{title}: {out / name}")


def _make_cohort(folder: Path, console: Console) -> Cohort:
    if not (folder / "cohort.csv").is_file():
        with Progress(console=console, transient=True) as bars:
            task = bars.add_task("draw the cohort", total=None)
            write_demo_cohort(
                folder, SEED, lambda done, total: bars.update(task, completed=done, total=total)
            )
    return read_cohort(folder)


def _train(cohort: Cohort, out: Path, device: DeviceName, console: Console) -> None:
    if is_bundle(out / "bundle"):
        return
    with watch_console(console) as watch:
        run = TrainingRun(
            cohort=cohort,
            recipe=read_recipe("demo"),
            out=out / "bundle",
            work=out / "work",
            seed=SEED,
            device=choose_device(device),
            created_at=datetime.fromtimestamp(time.time(), UTC),
            modalities=(),
            is_synthetic=True,
            measure=lambda detector: measure_for_card(detector, cohort, SEED, watch),
        )
        train_bundle(run, SINGLE, watch)


def _evaluate(detector: Detector, cohort: Cohort, out: Path, console: Console) -> dict[str, Any]:
    kept = out / "evaluation.json"
    if kept.is_file():
        summary: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if summary["bundle"]["digest"] == detector.digest:
            return summary
    evaluation = evaluate_with_progress(detector, cohort, EvaluationOptions(SEED), console)
    write_report(evaluation, detector, out / "report")
    aside = kept.with_suffix(".partial")
    aside.write_text(json.dumps(evaluation.summary, indent=2, allow_nan=False), encoding="utf-8")
    aside.rename(kept)
    return evaluation.summary


def _draw(detector: Detector, cohort: Cohort, folder: Path, console: Console) -> None:
    """Draw some healthy and some abnormal test scans; the name says which."""
    if folder.is_dir():
        return
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    scans = cohort.scans("test")
    chosen = [scans[index] for index in range(0, len(scans), max(1, len(scans) // PICTURES))]
    with Progress(console=console, transient=True) as bars:
        for number, scan in enumerate(bars.track(chosen, description="draw")):
            finding = detector.examine([decode_cohort_scan(scan, DecodeLimits())])[0]
            name = f"{number:02}-{scan.label}-called-{finding.verdict.label}.png"
            write_picture(finding, aside / name)
    aside.rename(folder)
