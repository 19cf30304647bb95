import pytest
import torch
from torch import nn

from training.optimizer import WeightAverage, compute_schedule
from training.recipe import OptimizerSpec

SCHEDULES = ("one_cycle", "cosine")


def list_rates(spec: OptimizerSpec) -> list[float]:
    return [compute_schedule(spec, step)[0] for step in range(spec.steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing(schedule):
    spec = OptimizerSpec(images_seen=16_000, schedule=schedule)

    rates = list_rates(spec)

    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(spec.learning_rate, rel=1e-3)
    assert peak == pytest.approx(spec.warmup_share * spec.steps, abs=1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-4 * spec.learning_rate


def test_one_cycle_follows_that_of_torch():
    spec = OptimizerSpec(images_seen=16_000)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, spec.learning_rate, total_steps=spec.steps + 1
    )
    rates, momenta = [], []
    for _ in range(spec.steps):
        optimizer.step()
        reference.step()
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["betas"][0])

    ours = [compute_schedule(spec, step) for step in range(spec.steps)]

    assert [rate for rate, _ in ours] == pytest.approx(rates, abs=0.01 * spec.learning_rate)
    assert [momentum for _, momentum in ours] == pytest.approx(momenta, abs=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("images_seen", [1, 32, 160])
def test_every_step_of_a_short_run_has_a_rate(schedule, warmup_share, images_seen):
    spec = OptimizerSpec(images_seen=images_seen, schedule=schedule, warmup_share=warmup_share)

    rates = list_rates(spec)

    assert len(rates) == spec.steps
    assert all(0.0 <= rate <= spec.learning_rate * 1.0001 for rate in rates)


def test_the_average_of_resting_weights_is_where_they_rest():
    weights = [nn.Parameter(torch.zeros(3))]
    average = WeightAverage(weights, 0.5)
    with torch.no_grad():
        weights[0] += 1.0

    for step in range(1, 60):
        average.update(weights, step)

    torch.testing.assert_close(average.weights[0], torch.ones(3))


def test_the_average_lags_behind_moving_weights():
    weights = [nn.Parameter(torch.zeros(1))]
    average = WeightAverage(weights, 0.9)

    for step in range(1, 101):
        with torch.no_grad():
            weights[0] += 1.0
        average.update(weights, step)

    assert 85.0 < average.weights[0].item() < 95.0
