"""Cohorts, methods and seeds to the cells of the evidence: train, evaluate, keep what was found.

A finished cell is a file; a run that was killed goes on with the next one. A bundle that lies in a
cell already is measured and not trained again.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from models.bundle.layout import CARD
from models.detector import Detector
from models.specs import Spec
from training.auto import choose_recipe
from training.candidates import find_ablation, list_candidates
from training.cohort import Cohort, read_cohort
from training.distributed import SINGLE
from training.evaluate import evaluate_detector
from training.evaluation_options import EvaluationOptions, Window
from training.recipe import Recipe, read_recipe
from training.report import write_report
from training.train import SilentWatch, TrainingRun, train_bundle

AUTO = "auto"
# The method whose cells hold the baselines and peers.
REFERENCE = "default"
# Where slices lie by their place in the body, results are also given in the middle.
POSITION = Window("position", 0.45, 0.65)
RECORD = "cell.json"


@dataclass(frozen=True, slots=True)
class Cell:
    """One training and its measurement."""

    cohort: str
    method: str
    seed: int


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """What is compared, where it is kept, and how long `auto` may take.

    `peers`: whether the cells of the reference hold the peers too, which take minutes each.
    """

    cohorts: dict[str, Path]
    methods: tuple[str, ...]
    seeds: int
    out: Path
    budget_s: float
    device: torch.device
    peers: bool

    def list_cells(self) -> list[Cell]:
        """Give every cell; all cohorts and methods have their first seed before any has two."""
        return [
            Cell(cohort, method, seed)
            for seed in range(self.seeds)
            for cohort in self.cohorts
            for method in self.methods
        ]


class Record(Spec):
    """What is kept of a finished cell.

    `summary` is that of the evaluation; `training`: the lines of the card about the training.
    """

    cohort: str
    method: str
    seed: int
    measured_at: datetime
    summary: dict[str, Any]
    training: dict[str, str]
    parameters: int = Field(ge=0)
    bundle_bytes: int = Field(ge=0)
    threads: int = Field(ge=1)

    @property
    def training_s(self) -> float:
        """Wall time of the training, and of the search before it."""
        told = (text for name, text in self.training.items() if name.startswith("seconds, "))
        measured = self.training.get("seconds, measurement", "0")
        return sum(float(text) for text in told) - float(measured)

    @property
    def seconds_a_slice(self) -> float:
        """Wall time of scoring, decoding included, by slice where scans are volumes."""
        total_s = float(self.summary["seconds_per_scan"]) * int(self.summary["counts"]["scans"])
        return total_s / int(self.summary["n"])

    def look_up(self, *path: str) -> float | None:
        """Give a number of the summary; None where it is not there or not defined."""
        found: Any = self.summary
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None else float(found)


def fill_cell(plan: EvidencePlan, cell: Cell) -> Record:
    """Give the record of a cell, trained and measured unless it was before.

    Raises:
        AegleError: cohort, recipe or bundle are not usable.
    """
    folder = plan.out / cell.cohort / f"{cell.method}-{cell.seed}"
    kept = folder / RECORD
    if kept.is_file():
        return Record.model_validate_json(kept.read_text(encoding="utf-8"))
    cohort = read_cohort(plan.cohorts[cell.cohort])
    if not (folder / "bundle").is_dir():
        _train(plan, cell, cohort, folder / "bundle")
    record = _measure(plan, cell, cohort, folder)
    aside = kept.with_suffix(".partial")
    aside.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    aside.rename(kept)
    return record


def read_records(out: Path) -> Iterator[Record]:
    """Give the records of all finished cells, whatever run they are from."""
    for path in sorted(out.glob(f"*/*/{RECORD}")):
        yield Record.model_validate_json(path.read_text(encoding="utf-8"))


def find_cohorts(folder: Path) -> dict[str, Path]:
    """Find the cohorts in a folder: its subfolders with a table."""
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/cohort.csv"))}


def find_recipe(method: str) -> Recipe:
    """Give the recipe of a method: an ablation, or a published one."""
    return find_ablation(method) or read_recipe(method)


def _train(plan: EvidencePlan, cell: Cell, cohort: Cohort, out: Path) -> None:
    watch = SilentWatch()
    run = TrainingRun(
        cohort=cohort,
        recipe=find_recipe(REFERENCE if cell.method == AUTO else cell.method),
        out=out,
        work=plan.out / "work",
        seed=cell.seed,
        device=plan.device,
        created_at=datetime.fromtimestamp(time.time(), UTC),
        modalities=(),
        is_synthetic=False,
        measure=lambda _: {},
    )
    if cell.method == AUTO:
        tools = (time.monotonic, lambda _: None)
        choice = choose_recipe(run, list_candidates(), plan.budget_s, tools, watch)
        run = replace(run, recipe=choice.recipe, notes=choice.describe())
    train_bundle(run, SINGLE, watch)


def _measure(plan: EvidencePlan, cell: Cell, cohort: Cohort, folder: Path) -> Record:
    detector = Detector.load(folder / "bundle", plan.device)
    windows = (POSITION,) if POSITION.column in cohort.columns else ()
    peers = plan.peers and cell.method == REFERENCE
    options = EvaluationOptions(seed=cell.seed, windows=windows, peers=peers)
    evaluation = evaluate_detector(detector, cohort, options, lambda: None)
    write_report(evaluation, detector, folder / "report")
    card = (folder / "bundle" / CARD).read_text(encoding="utf-8")
    files = (path for path in (folder / "bundle").iterdir() if path.is_file())
    return Record(
        cohort=cell.cohort,
        method=cell.method,
        seed=cell.seed,
        measured_at=datetime.fromtimestamp(time.time(), UTC),
        summary=evaluation.summary,
        training=_read_training(card),
        parameters=sum(p.numel() for p in detector.pipeline.network.parameters()),
        bundle_bytes=sum(path.stat().st_size for path in files),
        threads=torch.get_num_threads(),
    )


def _read_training(card: str) -> dict[str, str]:
    """Read the table about the training off a card."""
    section = card.partition("## Training\n")[2].partition("\n## ")[0]
    rows = (line.strip("| ").split(" | ", 1) for line in section.splitlines() if "|" in line)
    return {row[0]: row[1] for row in rows if len(row) == 2}
