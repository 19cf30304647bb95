import pytest
import torch

from models.errors import InvalidRecipe
from tests.builders.fitting import MemorySlices, make_recipe
from training.distributed import SINGLE, Group
from training.feed import BatchFeed, FedBatch

CPU = torch.device("cpu")
STILL = {"shift_share": 0, "rotation_deg": 0, "scale_share": 0, "gamma_share": 0}


def feed(first_step: int = 0, group: Group = SINGLE, seed: int = 0, **changes) -> list[FedBatch]:
    return list(
        BatchFeed(MemorySlices(10), make_recipe(**changes), seed, group).run(first_step, CPU)
    )


def test_a_run_taken_up_later_gets_the_same_batches():
    whole, later = feed(), feed(first_step=30)

    assert len(later) == 10
    for batch, same in zip(whole[30:], later, strict=True):
        assert torch.equal(batch.shown, same.shown)
        assert torch.equal(batch.image, same.image)


def test_processes_get_the_parts_of_the_same_batch():
    whole = feed()
    parts = [feed(group=Group(rank, 2)) for rank in (0, 1)]

    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.shown, torch.cat([first.shown, second.shown]))


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(InvalidRecipe, match="multiple of the 3 processes, found 4"):
        feed(group=Group(0, 3))


def test_every_slice_is_seen_once_before_any_is_seen_twice():
    slices = MemorySlices(10)
    batches = feed(augment=STILL)

    seen = torch.cat([batch.image for batch in batches])[:10]
    distances = (seen[:, None] - slices.image[None]).abs().amax((2, 3, 4))
    assert sorted(distances.argmin(1).tolist()) == list(range(10))


def test_another_seed_gives_other_batches():
    assert not torch.equal(feed(seed=1)[0].shown, feed(seed=2)[0].shown)


def test_without_noise_the_network_is_shown_the_image():
    batch = feed(noise=None)[0]

    assert torch.equal(batch.shown, batch.image)


def test_an_unreadable_slice_stops_the_run():
    class BrokenSlices(MemorySlices):
        def __getitem__(self, index: int):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(BatchFeed(BrokenSlices(4), make_recipe(), 0, SINGLE).run(0, CPU))
