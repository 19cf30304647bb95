from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from app.cli import build_cli
from models.bundle.read import read_bundle
from models.errors import BundleError, InvalidCohort, InvalidRecipe
from tests.builders.bundles import TINY_RECIPE
from tests.builders.cohorts import Row, write_cohort
from training import train_commands
from training.candidates import Candidate
from training.distributed import Group
from training.recipe import read_recipe


def run(*words):
    return CliRunner().invoke(build_cli(), [str(word) for word in words])


@pytest.fixture
def cohort(tmp_path):
    rows = [Row(f"{number}.png", patient=str(number)) for number in range(40)]
    return write_cohort(tmp_path / "cohort", rows, side_px=48)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_RECIPE)
    return path


def test_training_leaves_a_bundle_and_says_its_digest(cohort, recipe, tmp_path):
    out = tmp_path / "bundles/tiny"

    ended = run(
        "train", cohort, "--recipe", recipe, "--out", out, "--work", tmp_path / "work",
        "--modality", "DX", "--seed", 3, "--device", "cpu",
    )  # fmt: skip

    assert ended.exit_code == 0, ended.output
    bundle = read_bundle(out)
    assert bundle.digest in ended.output
    assert bundle.manifest.origin.seed == 3
    assert bundle.manifest.domain.modalities == ("DX",)
    assert not bundle.manifest.is_synthetic
    assert "no test split" in bundle.card


def test_auto_trains_what_it_chose_and_tells_on_screen_and_card(
    cohort, recipe, tmp_path, monkeypatch
):
    tiny = Candidate("default", read_recipe(recipe))
    monkeypatch.setattr(train_commands, "list_candidates", lambda: (tiny,))
    out = tmp_path / "bundles/auto"

    ended = run("train", cohort, "--recipe", "auto", "--budget", 60, "--out", out,
                "--work", tmp_path / "work", "--device", "cpu")  # fmt: skip

    assert ended.exit_code == 0, ended.output
    assert "default: separation" in ended.output
    assert "chosen: default: no candidate separates better" in ended.output
    bundle = read_bundle(out)
    assert bundle.manifest.origin.recipe == "auto_default"
    assert "| chosen by auto | default: no candidate" in bundle.card
    assert "| seconds, search |" in bundle.card


def test_auto_in_several_processes_is_refused(cohort, tmp_path, monkeypatch):
    @contextmanager
    def join_two(device):
        yield Group(rank=0, size=2), device

    monkeypatch.setattr(train_commands, "join_group", join_two)

    ended = run("train", cohort, "--recipe", "auto", "--out", tmp_path / "out",
                "--work", tmp_path / "work")  # fmt: skip

    assert isinstance(ended.exception, InvalidRecipe)
    assert "one process" in str(ended.exception)


def test_a_file_in_train_and_in_test_is_refused_before_the_fit(cohort, recipe, tmp_path):
    rows = [Row(f"{number}.png", patient=str(number)) for number in range(40)]
    (cohort / "again.png").write_bytes((cohort / "0.png").read_bytes())
    write_cohort(cohort, [*rows, Row("again.png", split="test", patient="other")])

    ended = run("train", cohort, "--recipe", recipe, "--out", tmp_path / "out",
                "--work", tmp_path / "work")  # fmt: skip

    assert isinstance(ended.exception, InvalidCohort)
    assert "again.png" in str(ended.exception)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["nothing_like_it", "missing.toml"])
def test_a_recipe_that_is_none_is_refused_before_anything_is_read(tmp_path, name):
    ended = run("train", tmp_path / "nowhere", "--recipe", name, "--out", tmp_path / "out")

    assert isinstance(ended.exception, InvalidRecipe)


def test_a_place_that_is_taken_is_refused_before_anything_is_read(recipe, tmp_path):
    ended = run("train", tmp_path / "nowhere", "--recipe", recipe, "--out", tmp_path)

    assert isinstance(ended.exception, BundleError)
