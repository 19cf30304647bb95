import dataclasses
import json
from datetime import UTC, datetime

import pytest
import torch
from typer.testing import CliRunner

from app.cli import build_cli
from models.errors import InvalidCohort, InvalidRecipe
from tests.builders.bundles import make_tiny_recipe
from tests.builders.evaluations import write_lesion_cohort
from training import evidence
from training.evidence import (
    RECORD,
    Cell,
    EvidencePlan,
    Record,
    fill_cell,
    find_cohorts,
    find_recipe,
    read_records,
)
from training.evidence_page import build_head, build_page

TODAY = datetime(2026, 1, 2, tzinfo=UTC)
CELL = Cell("blobs", "default", 0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Give a plan whose one cell is finished, and its record."""
    folder = tmp_path_factory.mktemp("evidence")
    write_lesion_cohort(folder / "data" / "blobs", has_series=False)
    plan = EvidencePlan(
        cohorts=find_cohorts(folder / "data"),
        methods=("default",),
        seeds=1,
        out=folder / "out",
        budget_s=60.0,
        device=torch.device("cpu"),
        peers=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "find_recipe", lambda _: make_tiny_recipe())
        patch.setattr("training.peers._list_features", lambda _: {})
        return plan, fill_cell(plan, CELL)


def test_a_finished_cell_is_kept_and_not_trained_again(filled, monkeypatch):
    plan, record = filled
    monkeypatch.setattr(evidence, "train_bundle", None)
    monkeypatch.setattr(evidence, "evaluate_detector", None)

    assert fill_cell(plan, CELL) == record
    assert list(read_records(plan.out)) == [record]


def test_a_bundle_that_is_there_is_measured_and_not_trained(filled, monkeypatch):
    plan, record = filled
    (plan.out / "blobs" / "default-0" / RECORD).unlink()
    monkeypatch.setattr(evidence, "train_bundle", None)
    monkeypatch.setattr("training.peers._list_features", lambda _: {})

    again = fill_cell(plan, CELL)

    assert again.summary["image"] == record.summary["image"]


def test_a_record_tells_cost_and_failures(filled):
    plan, record = filled

    assert record.parameters > 0
    assert record.bundle_bytes > 10_000
    assert record.training["recipe"].startswith("tiny")
    assert record.training_s >= 0.0
    assert (plan.out / "blobs" / "default-0" / "report" / "report.html").is_file()


def test_all_methods_have_their_first_seed_before_any_has_two(filled):
    plan, _ = filled
    wide = dataclasses.replace(plan, methods=("default", "vae"), seeds=2)

    assert [(cell.method, cell.seed) for cell in wide.list_cells()] == [
        ("default", 0), ("vae", 0), ("default", 1), ("vae", 1),
    ]  # fmt: skip


def repeat(record: Record, seed: int, auroc: float) -> Record:
    summary = json.loads(json.dumps(record.summary))
    summary["image"]["auroc"] = auroc
    return record.model_copy(update={"seed": seed, "summary": summary})


def test_the_page_gives_mean_and_deviation_over_seeds_and_says_what_was_not_run(filled):
    _, record = filled
    records = [repeat(record, 0, 0.8), repeat(record, 1, 0.9)]
    wanted = [Cell("blobs", "default", seed) for seed in range(3)]

    page = build_page(records, wanted, TODAY)

    assert "| **default** | 2 | 0.850 ± 0.071 (" in page
    assert "2026-01-02" in page
    assert "Planned and not run: blobs default 2." in page
    for name in record.summary["baselines"]:
        assert f"| {name} | 2 |" in page
    assert "### False alarms" in page
    assert "structural" in page


def test_the_page_tells_what_auto_tried(filled):
    _, record = filled
    tried = {"chosen by auto": "default: no candidate", "tried, 1": "default: separation 0.5"}
    records = [record.model_copy(update={"method": "auto", "training": tried})]

    page = build_page(records, [], TODAY)

    assert "| 0 | chosen by auto | default: no candidate |" in page


def test_the_head_names_methods_and_their_best_rivals(filled):
    _, record = filled

    lines = build_head([record]).splitlines()

    assert lines[2].startswith("| blobs | **default** | 1 |")
    assert len(lines) == 5


def test_the_command_writes_the_page_and_the_readme_between_its_marks(filled, tmp_path):
    plan, _ = filled
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- evidence -->\nold\n<!-- end of evidence -->\nafter\n")

    ended = CliRunner().invoke(
        build_cli(),
        ["evidence", str(plan.cohorts["blobs"].parent), "--out", str(plan.out), "--page-only",
         "--page", str(tmp_path / "page.md"), "--head", str(readme)],
    )  # fmt: skip

    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "page.md").read_text().startswith("# Evidence")
    text = readme.read_text()
    assert text.startswith("before\n<!-- evidence -->\n| cohort |")
    assert text.endswith("<!-- end of evidence -->\nafter\n")
    assert "old" not in text


def test_a_folder_without_cohorts_is_refused(tmp_path):
    ended = CliRunner().invoke(build_cli(), ["evidence", str(tmp_path)])

    assert isinstance(ended.exception, InvalidCohort)


def test_ablations_are_the_candidates_of_auto():
    assert find_recipe("coarse_noise").noise.cells == 8
    assert find_recipe("vae").name == "vae"
    with pytest.raises(InvalidRecipe):
        find_recipe("nothing_like_it")
