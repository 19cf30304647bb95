"""`aegle evaluate` prints tables and writes the JSON and the page it was asked for."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from models.bundle.card import CardFacts
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from tests.builders.evaluations import build_detector, write_lesion_cohort
from training import evaluate_command
from training.cohort import read_cohort
from training.dataset import decode_cohort_scan
from training.publish import publish_bundle


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("published")
    cohort = write_lesion_cohort(folder / "cohort", has_series=True)
    detector = build_detector(read_cohort(cohort), "ae")
    image = detector.pipeline.prepare(first_scan(cohort)).normalized.image[0, 0].numpy()
    publish_bundle(detector, image, CardFacts((), {}, {}, 0), folder / "bundle")
    return folder / "bundle", cohort


def first_scan(cohort: Path) -> DecodedScan:
    from_cohort = read_cohort(cohort).scans("train")[0]
    return decode_cohort_scan(from_cohort, DecodeLimits())


def run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    evaluate_command.register(app)
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_the_command_writes_json_and_report(published: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, cohort = published
    numbers, report = tmp_path / "deep" / "numbers.json", tmp_path / "report"

    status, output = run(
        bundle, cohort, "--json", numbers, "--report", report, "--window", "position:0.2:0.8",
        "--subgroup", "site", "--resamples", 20,
    )  # fmt: skip

    summary = json.loads(numbers.read_text(encoding="utf-8"))
    assert status == 0
    assert "AUROC" in output
    assert len(summary["bundle"]["digest"]) == 64
    assert summary["windows"]["position:0.2:0.8"]["auroc"] is not None
    assert (report / "report.html").stat().st_size > 10_000


def test_a_wrong_window_is_told_in_a_line(published: tuple[Path, Path]) -> None:
    status, output = run(*published, "--window", "position")

    assert status == 2
    assert "column:low:high" in output


def test_the_help_shows_examples() -> None:
    status, output = run("--help")

    assert status == 0
    assert "--window position:0.45:0.65" in output
