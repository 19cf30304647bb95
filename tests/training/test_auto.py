import itertools
from dataclasses import replace

import pytest
import torch

from tests.builders.bundles import make_tiny_recipe, make_tiny_run
from tests.builders.cohorts import Row, write_cohort
from training import auto
from training.auto import TOLERANCE, Choice, choose_recipe
from training.candidates import (
    ABLATIONS,
    CANDIDATES,
    Candidate,
    find_ablation,
    list_candidates,
    shorten,
)
from training.train import SilentWatch

PLENTY_S = 1e6


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    rows = [Row(f"{number}.png", patient=str(number)) for number in range(120)]
    return write_cohort(tmp_path_factory.mktemp("auto") / "cohort", rows, side_px=48)


@pytest.fixture
def separations(monkeypatch):
    """Let the panel give what a test says, by the number of heads."""
    said: dict[int, list[float]] = {}

    class SaidPanel:
        def __init__(self, *drawn):
            del drawn

        def separate(self, network, spec):
            del network
            return {"bright": said[len(spec.heads)].pop(0)}

    monkeypatch.setattr(auto, "Panel", SaidPanel)
    return said


def make_candidates() -> tuple[Candidate, Candidate]:
    """Give the tiny recipe, and the same with one head."""
    tiny = make_tiny_recipe()
    tiny = tiny.model_copy(
        update={"optimizer": tiny.optimizer.model_copy(update={"images_seen": 40})}
    )
    score = tiny.pipeline.score
    score = score.model_copy(update={"heads": score.heads[:1]})
    pipeline = tiny.pipeline.model_copy(update={"score": score})
    return (
        Candidate("default", tiny),
        Candidate("other", tiny.model_copy(update={"pipeline": pipeline})),
    )


def choose(cohort, work, budget_s=PLENTY_S, said=None, tick_s=1.0) -> Choice:
    run = make_tiny_run(cohort, work / "out", work / "work")
    ticks = itertools.count(0.0, tick_s)
    told = said if said is not None else []
    tools = (lambda: next(ticks), told.append)
    return choose_recipe(run, make_candidates(), budget_s, tools, SilentWatch())


def test_the_default_stays_unless_it_is_clearly_beaten(cohort, tmp_path, separations):
    separations |= {2: [0.6, 0.6], 1: [0.8, 0.6 + TOLERANCE / 2]}

    choice = choose(cohort, tmp_path)

    assert choice.recipe.name == "auto_default"
    assert [(trial.name, trial.share) for trial in choice.trials] == [
        ("default", 0.1), ("other", 0.1), ("default", 0.3), ("other", 0.3),
    ]  # fmt: skip
    assert "no candidate" in choice.reason


def test_a_candidate_that_is_clearly_better_after_both_rounds_is_chosen(
    cohort, tmp_path, separations
):
    separations |= {2: [0.6, 0.6], 1: [0.8, 0.7]}
    said = []

    choice = choose(cohort, tmp_path, said=said)

    assert choice.recipe.name == "auto_other"
    assert len(choice.recipe.pipeline.score.heads) == 1
    assert choice.recipe.optimizer.images_seen == 40
    assert len(said) == 5
    assert said[-1].startswith("chosen: other: separates 0.100 better")
    assert choice.describe()["chosen by auto"] == choice.reason
    assert choice.describe()["tried, 2"].startswith("other: separation 0.800 after 10%")


def test_without_time_the_default_is_trained_for_as_long_as_there_is(cohort, tmp_path, separations):
    separations |= {2: [0.6]}

    choice = choose(cohort, tmp_path, budget_s=8.0)

    assert choice.untried == ("other",)
    assert choice.recipe.optimizer.images_seen < 40
    assert "shortened" in choice.reason
    assert choice.describe()["not tried for want of time"] == "other"


def test_a_lead_in_the_first_round_alone_is_not_enough(cohort, tmp_path, separations):
    separations |= {2: [0.6], 1: [0.9]}

    choice = choose(cohort, tmp_path, budget_s=25.0)

    assert choice.recipe.name == "auto_default"
    assert choice.untried == ("other for longer",)


def test_a_search_that_was_killed_goes_on_with_its_trials(cohort, tmp_path, separations):
    separations |= {2: [0.6, 0.6], 1: [0.8, 0.7]}
    first = choose(cohort, tmp_path)

    again = choose(cohort, tmp_path)

    assert again == first
    assert separations == {2: [], 1: []}


def test_trials_of_other_recipes_are_not_taken(cohort, tmp_path, separations):
    separations |= {2: [0.7, 0.6], 1: [0.5]}
    choose(cohort, tmp_path)
    default, other = make_candidates()
    changed = default.recipe.model_copy(
        update={"noise": default.recipe.noise.model_copy(update={"sigma": 0.3})}
    )
    run = make_tiny_run(cohort, tmp_path / "out", tmp_path / "work")

    choice = choose_recipe(
        run,
        (replace(default, recipe=changed), other),
        PLENTY_S,
        (lambda: 0.0, lambda _: None),
        SilentWatch(),
    )

    assert choice.trials[0].separation == 0.6
    assert separations[2] == []


def test_candidates_differ_from_the_default_in_one_thing_and_keep_its_network():
    default, *others = list_candidates()

    for candidate in others:
        assert candidate.recipe.pipeline == default.recipe.pipeline
        changed = [
            key
            for key, value in candidate.recipe.model_dump().items()
            if value != default.recipe.model_dump()[key]
        ]
        assert len(changed) == 1


@pytest.mark.parametrize("name", [*CANDIDATES, *ABLATIONS])
def test_every_ablation_is_a_recipe(name):
    assert find_ablation(name) is not None


def test_every_candidate_is_a_recipe_that_divides_the_patients_as_the_default_does():
    candidates = list_candidates()

    assert candidates[0].name == "default"
    assert len({candidate.recipe.digest for candidate in candidates}) == len(candidates)
    assert {candidate.recipe.folds for candidate in candidates} == {candidates[0].recipe.folds}


def test_a_shortened_recipe_keeps_its_schedule_and_chooses_no_weights():
    recipe = list_candidates()[0].recipe

    short = shorten(recipe, 0.1)

    assert short.optimizer.images_seen == recipe.optimizer.images_seen // 10
    assert short.optimizer.schedule == recipe.optimizer.schedule
    assert short.selection.slices < 8
    assert short.pipeline == recipe.pipeline


def test_the_search_moves_no_global_randomness(cohort, tmp_path, separations):
    separations |= {2: [0.6], 1: [0.5]}
    before = torch.get_rng_state()

    choose(cohort, tmp_path)

    assert torch.equal(torch.get_rng_state(), before)
