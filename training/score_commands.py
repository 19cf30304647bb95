"""`aegle score` and `aegle bundle verify`."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track

from models.decoding.limits import DecodeLimits
from models.decoding.listing import describe_passed_over, write_passed_over
from models.detector import Detector
from models.device import choose_device
from training.device import DeviceName
from training.score_files import ScoredFile, list_sources
from training.scorers import ScorerSpec, choose_workers, open_scorers

UNREADABLE_STATUS = 2

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")]

bundle_app = typer.Typer(no_args_is_help=True, help="Look at bundles.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("score")(score)
    app.add_typer(bundle_app, name="bundle")


def score(
    bundle: BundleFolder,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders, series, zips.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each scan, named by its SHA-256.")
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="Where the network runs.")] = DeviceName.AUTO,
) -> None:
    """Say how unusual scans are.

    Exit status 0 whatever the verdicts; 2 where a scan could not be read, the others are scored.
    Hidden files, plain text and DICOMDIR in folders and zips are passed over, and counted last.

    Examples:

        aegle score var/bundles/chest scan.dcm

        aegle score var/bundles/chest series/ study.zip --json --pictures var/pictures
    """
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    limits = DecodeLimits()
    spec = ScorerSpec(bundle, choose_device(device), limits, pictures)
    unread = 0
    passed_over: list[str] = []
    with open_scorers(spec, choose_workers(paths)) as score_all:
        for scored in score_all(list_sources(paths, limits, passed_over)):
            unread += scored.error is not None
            if as_json:
                typer.echo(json.dumps(scored.to_json(), allow_nan=False))
            else:
                console.print(make_printable(_describe(scored)), markup=False)
    _tell_passed_over(passed_over, as_json=as_json)
    if unread:
        raise typer.Exit(UNREADABLE_STATUS)


@bundle_app.command("verify")
def verify(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundle folders.")],
    device: Annotated[DeviceName, typer.Option(help="Where the check runs.")] = DeviceName.AUTO,
) -> None:
    """Verify digests, specs and weights, and replay the bundle's own check.

    Examples:

        aegle bundle verify var/bundles/chest
    """
    console = Console(highlight=False, soft_wrap=True)
    for folder in track(bundles, console=console, transient=True, description="verify"):
        detector = Detector.load(folder, choose_device(device))
        count = len(detector.bundle.check.scans)
        console.print(
            f"{folder}: sound; {count} check scans reproduced; digest {detector.digest}",
            markup=False,
        )


@bundle_app.command("card")
def card(bundle: BundleFolder) -> None:
    """Print the bundle's card.

    Examples:

        aegle bundle card var/bundles/chest
    """
    typer.echo(Detector.load(bundle, torch.device("cpu")).bundle.card)


def make_printable(line: str) -> str:
    """Put a mark for what a file's name or tag could do to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _tell_passed_over(labels: list[str], *, as_json: bool) -> None:
    if labels and as_json:
        typer.echo(json.dumps(write_passed_over(labels)))
    elif labels:
        typer.echo(make_printable(describe_passed_over(labels)), err=True)


def _describe(scored: ScoredFile) -> str:
    if scored.verdict is None:
        code = scored.error.code if scored.error else ""
        return f"{scored.path}  unreadable  {code}: {scored.error}"
    verdict = scored.verdict
    numbers = [
        f"score {verdict.score:.3f}" if verdict.score is not None else "",
        f"p {verdict.p_value:.4f}" if verdict.p_value is not None else "",
        f"threshold {verdict.threshold:.3f}" if verdict.threshold is not None else "",
        f"regions {len(scored.regions)}",
        verdict.reason,
    ]
    return "  ".join([scored.path, verdict.label, *(text for text in numbers if text)])
