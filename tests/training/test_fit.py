import math
from pathlib import Path

import pytest
import torch

from models.errors import InvalidCheckpoint, InvalidCohort, TrainingDiverged
from tests.builders.fitting import (
    BatchedSlices,
    MemorySlices,
    RecordedProgress,
    make_recipe,
    make_run,
)
from training.fit import FittedNetwork, fit_network, uses_half
from training.recipe import OptimizerSpec, Recipe

KINDS = ("denoising_unet", "vae", "ae_variance")


def fit(
    recipe: Recipe, folder: Path, progress: RecordedProgress | None = None, **run: object
) -> FittedNetwork:
    slices, validation = MemorySlices(20), MemorySlices(12, seed=2)
    return fit_network(
        recipe, slices, validation, make_run(folder, **run), progress or RecordedProgress()
    )


def assert_equal_weights(first: FittedNetwork, second: FittedNetwork) -> None:
    torch.testing.assert_close(
        first.network.state_dict(), second.network.state_dict(), rtol=0, atol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls_and_the_network_is_ready_for_evaluation(kind, tmp_path):
    fitted = fit(make_recipe(kind), tmp_path)

    assert fitted.history[-1].validation_loss < 0.8 * fitted.history[0].validation_loss
    assert not fitted.network.training


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(kind, tmp_path):
    recipe = make_recipe(kind)
    unbroken = fit(recipe, tmp_path / "unbroken")

    for stop_at in (40, 120):
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tmp_path / "broken", RecordedProgress(stop_at=stop_at))
    resumed = fit(recipe, tmp_path / "broken")

    assert resumed.first_step > 0
    assert resumed.history == unbroken.history
    assert_equal_weights(resumed, unbroken)


def test_a_finished_run_is_not_trained_again(tmp_path):
    finished = fit(make_recipe(), tmp_path)
    progress = RecordedProgress()

    again = fit(make_recipe(), tmp_path, progress)

    assert progress.losses == []
    assert_equal_weights(again, finished)


def test_equal_seeds_give_equal_weights_and_others_do_not(tmp_path):
    first, same, other = (
        fit(make_recipe(), tmp_path / name, seed=seed)
        for name, seed in (("first", 1), ("same", 1), ("other", 2))
    )

    assert_equal_weights(first, same)
    with pytest.raises(AssertionError):
        assert_equal_weights(first, other)


def test_slices_read_one_by_one_or_in_batches_give_equal_weights(tmp_path):
    fitted = [
        fit_network(make_recipe(), slices, slices, make_run(tmp_path / name), RecordedProgress())
        for name, slices in (("single", MemorySlices(20)), ("batched", BatchedSlices(20)))
    ]

    assert_equal_weights(*fitted)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": make_recipe(optimizer={"images_seen": 160, "batch_size": 4, "weight_decay": 0})},
        {"seed": 7},
        {"cohort_digest": "another"},
    ],
    ids=["recipe", "seed", "cohort"],
)
def test_a_checkpoint_of_another_run_is_refused(change, tmp_path):
    fit(make_recipe(), tmp_path)
    recipe = change.pop("recipe", make_recipe())

    with pytest.raises(InvalidCheckpoint, match="another training run"):
        fit(recipe, tmp_path, **change)


def test_weights_are_chosen_only_near_the_end_of_the_schedule(tmp_path):
    recipe = make_recipe(selection={"slices": 12, "candidate_share": 0.25, "patience": 100})

    fitted = fit(recipe, tmp_path)

    assert fitted.chosen_step >= 0.75 * recipe.optimizer.steps
    measured = [point.step for point in fitted.history if point.separation is not None]
    assert min(measured) >= 0.75 * recipe.optimizer.steps
    best = max(point.separation for point in fitted.history if point.separation is not None)
    assert fitted.separation >= best - recipe.selection.tolerance


def test_training_stops_early_when_separation_no_longer_improves(tmp_path):
    selection = {"slices": 12, "candidate_share": 0.9, "patience": 1, "tolerance": 0.0}
    recipe = make_recipe(selection=selection)

    fitted = fit(recipe, tmp_path)

    assert fitted.history[-1].step < recipe.optimizer.steps
    assert fitted.history[-1].separation < fitted.separation


def test_too_few_validation_slices_leave_the_last_weights(tmp_path):
    recipe = make_recipe()

    fitted = fit_network(
        recipe, MemorySlices(8), MemorySlices(3), make_run(tmp_path), RecordedProgress()
    )

    assert fitted.separation is None
    assert fitted.chosen_step == recipe.optimizer.steps


def test_the_variational_network_reports_its_active_latent_dimensions(tmp_path):
    fitted = fit(make_recipe("vae"), tmp_path)

    assert fitted.history[-1].active_latent is not None


@pytest.mark.parametrize("counts", [(0, 5), (5, 0)])
def test_a_fold_without_slices_is_refused(counts, tmp_path):
    with pytest.raises(InvalidCohort, match="holds no slice"):
        fit_network(
            make_recipe(), *map(MemorySlices, counts), make_run(tmp_path), RecordedProgress()
        )


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    slices = MemorySlices(8)
    slices.image[:] = math.nan

    with pytest.raises(TrainingDiverged, match="lower learning rate"):
        fit_network(make_recipe(), slices, MemorySlices(8), make_run(tmp_path), RecordedProgress())


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", False), ("float32", False), ("bfloat16", True)]
)
def test_a_cpu_computes_in_half_precision_only_when_told_to(precision, expected):
    assert uses_half(OptimizerSpec(precision=precision), torch.device("cpu")) is expected


def test_half_precision_learns_too(tmp_path):
    optimizer = {"images_seen": 160, "batch_size": 4, "precision": "bfloat16"}

    fitted = fit(make_recipe(optimizer=optimizer), tmp_path)

    assert fitted.history[-1].validation_loss < 0.8 * fitted.history[0].validation_loss
