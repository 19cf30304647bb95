import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from models.bundle.layout import WEIGHTS
from models.bundle.read import read_bundle
from models.errors import BundleError, InvalidCohort, TooFewHealthyScans, TrainingError
from tests.builders.bundles import make_tiny_run, train_tiny_bundle
from tests.builders.cohorts import Row, make_picture, write_cohort, write_picture
from training.cohort import read_cohort
from training.distributed import SINGLE
from training.train import SilentWatch, compute_cohort_digest, split_cohort, train_bundle


class RecordedWatch(SilentWatch):
    """Remembers the stages and how far each came."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, int]] = {}

    def start(self, stage, total):
        self.stages[stage] = (0, total)
        self._now = stage

    def step(self, done):
        self.stages[self._now] = (done, self.stages[self._now][1])


def write_plain_cohort(folder, count):
    rows = [Row(f"{number}.png", patient=str(number)) for number in range(count)]
    return write_cohort(folder, rows, side_px=48)


def test_a_bundle_records_where_it_comes_from(tiny_bundle, tiny_cohort):
    manifest = read_bundle(tiny_bundle).manifest
    run = make_tiny_run(tiny_cohort, tiny_bundle, tiny_bundle)

    assert manifest.origin.recipe == "tiny"
    assert manifest.origin.recipe_digest == run.recipe.digest
    assert manifest.origin.cohort_digest == compute_cohort_digest(run.cohort)
    assert manifest.origin.seed == 0
    assert manifest.pipeline == run.recipe.pipeline
    assert manifest.created_at == run.created_at
    assert manifest.is_synthetic
    folds = split_cohort(run.cohort, run.recipe, 0)
    assert manifest.origin.counts["calibration"] == len(folds.calibration)


def test_the_same_run_gives_the_same_weights_and_every_stage_is_shown(
    tiny_bundle, tiny_cohort, tmp_path
):
    watch = RecordedWatch()

    train_bundle(make_tiny_run(tiny_cohort, tmp_path / "again", tmp_path / "work"), SINGLE, watch)

    assert list(watch.stages) == ["decode", "fusion", "calibration"]
    assert all(done == total for done, total in watch.stages.values())
    expected, found = load_file(tiny_bundle / WEIGHTS), load_file(tmp_path / "again" / WEIGHTS)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    calibrations = read_bundle(tmp_path / "again").calibrations
    assert calibrations == read_bundle(tiny_bundle).calibrations


def test_a_place_that_is_taken_is_refused_before_anything_is_done(tiny_cohort, tmp_path):
    (tmp_path / "taken").mkdir()

    with pytest.raises(BundleError, match="there already"):
        train_tiny_bundle(tiny_cohort, tmp_path / "taken", tmp_path / "work")

    assert not (tmp_path / "work").exists()


def test_two_cohorts_with_one_table_do_not_share_a_checkpoint(tmp_path):
    work = tmp_path / "work"
    cohort = write_plain_cohort(tmp_path / "cohort", 40)
    train_tiny_bundle(cohort, tmp_path / "first", work)
    for number in range(40):
        write_picture(cohort / f"{number}.png", make_picture(500 + number, 48))

    train_tiny_bundle(cohort, tmp_path / "second", work)

    first, second = (load_file(tmp_path / name / WEIGHTS) for name in ("first", "second"))
    assert any(not torch.equal(first[name], tensor) for name, tensor in second.items())
    assert len(list(work.glob("tiny-*-seed0"))) == 2


@pytest.mark.parametrize(
    ("count", "error", "has_fitted"),
    [(3, InvalidCohort, False), (12, TooFewHealthyScans, False), (20, TrainingError, True)],
)
def test_a_cohort_too_small_is_refused_as_early_as_can_be(tmp_path, count, error, has_fitted):
    cohort = write_plain_cohort(tmp_path / "cohort", count)

    with pytest.raises(error):
        train_tiny_bundle(cohort, tmp_path / "out", tmp_path / "work")

    assert not (tmp_path / "out").exists()
    assert bool(list(tmp_path.glob("work/*/checkpoint.safetensors"))) == has_fitted


def test_another_table_is_another_cohort(tmp_path):
    cohort = read_cohort(write_plain_cohort(tmp_path / "a", 5))
    renamed = [Row(f"{number}.png", patient=f"p{number}") for number in range(5)]
    other = read_cohort(write_cohort(tmp_path / "b", renamed))

    assert compute_cohort_digest(cohort) != compute_cohort_digest(other)
    assert compute_cohort_digest(cohort) == compute_cohort_digest(read_cohort(tmp_path / "a"))


def test_what_was_measured_stands_on_the_card(tiny_cohort, tmp_path):
    run = make_tiny_run(tiny_cohort, tmp_path / "out", tmp_path / "work")
    run = dataclasses.replace(
        run, measure=lambda detector: {"AUROC": f"0.9 of {detector.digest!r}"}
    )

    train_bundle(run, SINGLE, SilentWatch())

    assert "| AUROC | 0.9 of '' |" in read_bundle(tmp_path / "out").card
