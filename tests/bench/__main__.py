"""`python -m tests.bench`: ratios against bare loops, compared in one run, with their bars."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from models.memory import keep_freed_memory
from tests.bench.dicom import measure_dicom
from tests.bench.fitting import measure_fitting
from tests.bench.memory import measure_memory
from tests.bench.pages import measure_pages
from tests.bench.ratio import Ratio
from tests.bench.scoring import measure_scoring
from tests.bench.service import measure_service

SUBJECTS = ("fitting", "scoring", "memory", "service", "dicom", "pages")


def run_bench(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(help="fitting, scoring, memory, service, dicom, pages; all by default."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers too.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of each comparison.")] = 3,
) -> None:
    """Measure, and say which bars are met; the status is 1 where one is not."""
    keep_freed_memory()
    console = Console()
    wanted = subjects or list(SUBJECTS)
    with (
        tempfile.TemporaryDirectory(prefix="aegle-bench-") as folder,
        console.status("measuring") as status,
    ):
        ratios = []
        for subject in wanted:
            status.update(f"measuring {subject}")
            ratios += _measure(subject, Path(folder), rounds)
    console.print(_draw(ratios))
    if json_file is not None:
        numbers = {"threads": torch.get_num_threads(), "ratios": [r.to_json() for r in ratios]}
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    if not all(ratio.is_met for ratio in ratios):
        raise typer.Exit(1)


def _measure(subject: str, folder: Path, rounds: int) -> list[Ratio]:
    if subject == "fitting":
        return [measure_fitting(folder / subject, rounds)]
    if subject == "scoring":
        return [measure_scoring(folder / subject, rounds)]
    if subject == "memory":
        return [measure_memory()]
    if subject == "service":
        return measure_service(folder / subject, rounds)
    if subject == "dicom":
        return measure_dicom(folder / subject, rounds)
    if subject == "pages":
        return measure_pages(folder / subject, rounds)
    raise typer.BadParameter(f"{subject}: expected one of {', '.join(SUBJECTS)}")


def _draw(ratios: list[Ratio]) -> Table:
    table = Table("measured", "ours", "bare", "ratio", "bar", "")
    for ratio in ratios:
        table.add_row(
            ratio.name,
            f"{ratio.ours:.1f} {ratio.unit}",
            f"{ratio.bare:.1f} {ratio.unit}",
            f"{ratio.value:.2f}",
            f"{ratio.side} {ratio.bar:g}",
            "[green]met[/]" if ratio.is_met else "[red]not met[/]",
        )
    return table


if __name__ == "__main__":
    typer.run(run_bench)
