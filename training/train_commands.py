"""`aegle train` and `aegle recipes`."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.device import choose_device
from models.errors import InvalidRecipe
from training.auto import choose_recipe
from training.candidates import list_candidates
from training.card_metrics import measure_for_card
from training.cohort import Cohort, read_cohort
from training.device import DeviceName
from training.distributed import Group, join_group
from training.duplicates import check_duplicates
from training.duplicates_command import compare_files
from training.recipe import list_recipes, read_recipe
from training.train import TrainingRun, TrainingWatch, check_place, train_bundle
from training.watch import watch_console, watch_curves

AUTO = "auto"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("train")(train)
    app.command("recipes")(recipes)


def train(
    cohort: Annotated[
        Path,
        typer.Argument(
            metavar="COHORT", help="Folder with cohort.csv, the CSV itself, or split folders."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the new bundle; must not be there.")
    ],
    recipe: Annotated[
        str, typer.Option(help="Name of a recipe, a TOML file, or `auto`: try several.")
    ] = "default",
    budget: Annotated[
        float, typer.Option(min=0.0, help="Minutes that `auto` may take in all.")
    ] = 15.0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    device: Annotated[DeviceName, typer.Option(help="Where the network runs.")] = DeviceName.AUTO,
    modality: Annotated[
        list[str] | None, typer.Option(help="Modality of files that name none, such as pictures.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Keeps decoded slices and the checkpoint of a run that was killed.")
    ] = Path("var/work"),
    curves: Annotated[
        Path | None, typer.Option(help="Folder for live curves of the loss, for TensorBoard.")
    ] = None,
) -> None:
    """Train on healthy scans, calibrate, and publish a bundle.

    A run that was killed goes on where it was when the same command is given again.

    Examples:

        aegle train cohort/ --out var/bundles/chest

        aegle train cohort/ --recipe auto --budget 15 --out var/bundles/chest

        aegle train cohort/ --recipe vae --seed 1 --out var/bundles/vae --modality DX

        torchrun --nproc-per-node 2 -m app.cli train cohort/ --out var/bundles/chest
    """
    is_first = os.environ.get("RANK", "0") == "0"
    console = Console(quiet=not is_first, highlight=False, soft_wrap=True)
    chosen = read_recipe("default" if recipe == AUTO else recipe)
    check_place(out)
    scans = read_cohort(cohort)
    if is_first:
        _refuse_duplicates(scans, console)
    with (
        join_group(choose_device(device)) as (group, own_device),
        watch_console(console) as bars,
        watch_curves(curves if is_first else None, bars) as watch,
    ):
        run = TrainingRun(
            cohort=scans,
            recipe=chosen,
            out=out,
            work=work,
            seed=seed,
            device=own_device,
            created_at=datetime.fromtimestamp(time.time(), UTC),
            modalities=tuple(modality or ()),
            is_synthetic=False,
            measure=lambda detector: measure_for_card(detector, scans, seed, watch),
        )
        if recipe == AUTO:
            run = _choose(run, group, budget, console, watch)
        digest = train_bundle(run, group, watch)
    console.print(f"{out}: digest {digest}", markup=False)


def _choose(
    run: TrainingRun, group: Group, budget: float, console: Console, watch: TrainingWatch
) -> TrainingRun:
    """Give the run with the recipe that the search chose."""
    if group.size > 1:
        raise InvalidRecipe("auto tries recipes in one process: start it without torchrun")
    tools = (time.monotonic, lambda line: console.print(line, markup=False))
    choice = choose_recipe(run, list_candidates(), 60.0 * budget, tools, watch)
    return replace(run, recipe=choice.recipe, notes=choice.describe())


def _refuse_duplicates(scans: Cohort, console: Console) -> None:
    """Compare all files, say what was found, and refuse a patient's picture in two splits."""
    report = compare_files(scans, console)
    console.print(str(report), markup=False)
    check_duplicates(report)


def recipes() -> None:
    """List the published recipes.

    Examples:

        aegle recipes
    """
    table = Table("recipe", "network", "size", "heads", "summary")
    for recipe in list_recipes():
        spec = recipe.pipeline
        heads = ", ".join(head.name for head in spec.score.heads)
        size = f"{spec.normalize.size_px} px"
        table.add_row(recipe.name, spec.network.kind, size, heads, recipe.summary)
    Console().print(table)
