import pytest
import torch

from models.errors import InvalidCheckpoint
from tests.builders.networks import make_images, make_network
from training.checkpoint import Checkpoint
from training.fit_state import FitState
from training.optimizer import WeightAverage, build_optimizer, set_schedule
from training.recipe import OptimizerSpec
from training.selection import Check

SPEC = OptimizerSpec(images_seen=100, batch_size=10)


def make_state() -> FitState:
    network = make_network("ae")
    network.to(memory_format=torch.channels_last)
    return FitState(
        network=network,
        optimizer=build_optimizer(network, SPEC),
        average=WeightAverage(network.parameters(), 0.9),
        loss_total=torch.zeros((), dtype=torch.float64),
    )


def take_steps(state: FitState, count: int) -> None:
    for _ in range(count):
        set_schedule(state.optimizer, SPEC, state.step)
        state.optimizer.zero_grad()
        images = make_images(2, seed=state.step)
        loss = (state.network(images).image - images).square().mean()
        torch.autograd.backward(loss)
        state.optimizer.step()
        state.step += 1
        state.loss_total += loss.detach()
        state.average.update(state.network.parameters(), state.step)


def make_check(separation: float | None = None) -> Check:
    return Check(loss=0.1, separation=separation, by_kind={}, active_latent=None)


def test_a_restored_state_takes_the_same_further_steps():
    first, second = make_state(), make_state()
    take_steps(first, 3)
    first.take_check(make_check(0.7), 0.001, 10)
    first.consider(0.7, 0.0)
    tensors, facts = first.pack()
    frozen = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}

    second.restore(Checkpoint(frozen, facts))
    take_steps(first, 2)
    take_steps(second, 2)

    after = first.pack()
    torch.testing.assert_close(second.pack()[0], after[0], rtol=0, atol=0)
    assert second.pack()[1] == after[1]


@pytest.mark.parametrize("missing", ["network/", "optimizer/", "average/", "loss/"])
def test_a_checkpoint_that_lacks_something_is_refused(missing):
    state = make_state()
    take_steps(state, 1)
    tensors, facts = state.pack()
    cut = {name: tensor for name, tensor in tensors.items() if not name.startswith(missing)}

    with pytest.raises(InvalidCheckpoint, match="does not fit"):
        make_state().restore(Checkpoint(cut, facts))


def test_facts_that_are_not_known_are_refused():
    state = make_state()
    tensors, facts = state.pack()

    with pytest.raises(InvalidCheckpoint):
        make_state().restore(Checkpoint(tensors, facts | {"mood": "good"}))


@pytest.mark.parametrize(
    ("separations", "chosen_step", "falls"),
    [
        ((0.6, 0.8, 0.79), 3, 0),  # as good as the best, and later
        ((0.6, 0.8, 0.7, 0.75), 2, 2),
        ((0.8, 0.7, 0.9), 3, 0),
        ((0.8, 0.79, 0.77), 2, 1),  # slow decline is measured against the best
    ],
)
def test_later_weights_are_kept_unless_they_fall_under_the_best(separations, chosen_step, falls):
    state = make_state()
    for separation in separations:
        take_steps(state, 1)
        state.consider(separation, 0.02)

    assert state.chosen_step == chosen_step
    assert state.chosen_separation == separations[chosen_step - 1]
    assert state.falls == falls


def test_without_a_separation_the_latest_weights_are_kept():
    state = make_state()
    for _ in range(3):
        take_steps(state, 1)
        state.consider(None, 0.02)

    assert state.chosen_step == 3
    assert state.chosen is not None
    torch.testing.assert_close(state.chosen, state.average_weights, rtol=0, atol=0)


def test_the_history_holds_the_mean_loss_since_the_point_before():
    state = make_state()
    for steps, total in ((4, 2.0), (2, 3.0)):
        state.step += steps
        state.loss_total += total
        state.take_check(make_check(), 0.001, 10)

    assert [point.loss for point in state.history] == [0.5, 1.5]
    assert [point.images_seen for point in state.history] == [40, 60]
