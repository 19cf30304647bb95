import numpy as np
import pytest
import torch

from models.appearance import Look
from models.networks.descriptor import compute_descriptor
from training.looks import (
    CHANGE_SLICES,
    LEAST_SLICES,
    crop_slices,
    find_limit,
    learn_appearance,
    learn_limits,
)

SIDE = 32


class Slices:
    """Made-up heads: an oval, brighter above than below, with a dark hole at its left."""

    def __init__(self, count, seed=0):
        generator = np.random.default_rng(seed)
        rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
        self.images = np.zeros((count, 1, SIDE, SIDE), np.float32)
        for image in self.images[:, 0]:
            top, left, wide = generator.normal(0.5, 0.02, 3)
            inside = ((rows - top) / 0.45) ** 2 + ((columns - left) / (0.7 * wide)) ** 2 < 1
            hole = (rows - top - 0.1) ** 2 + (columns - left + 0.15) ** 2 < 0.01
            noise = generator.normal(0, 0.02, image.shape)
            image[:] = inside * (1.0 - 0.5 * rows) * ~hole + noise
        self.images = self.images.clip(0, 1)

    def __len__(self):
        return len(self.images)

    def read_batch(self, indices, /):
        image = torch.from_numpy(self.images[list(indices)])
        return image, image > 0


@pytest.fixture(scope="module")
def appearance():
    return learn_appearance(Slices(200))


@pytest.fixture(scope="module")
def limits(appearance):
    return learn_limits([look(appearance, Slices(150, seed=1).images)], patients=150)


def look(appearance, images):
    return appearance.look(compute_descriptor(torch.as_tensor(images)).numpy())


def count_refused(limits, appearance, images):
    return sum(limits.find_objection(look(appearance, each[None])) is not None for each in images)


def test_too_few_slices_teach_no_looks():
    assert learn_appearance(Slices(LEAST_SLICES - 1)) is None


def test_healthy_slices_are_accepted(appearance, limits):
    assert count_refused(limits, appearance, Slices(100, seed=2).images) <= 3


@pytest.mark.parametrize("change", sorted(CHANGE_SLICES))
def test_changed_slices_are_refused(appearance, limits, change):
    images = CHANGE_SLICES[change](torch.from_numpy(Slices(30, seed=3).images))

    assert count_refused(limits, appearance, images.numpy()) == 30


def test_noise_is_refused(appearance, limits):
    noise = np.random.default_rng(0).random((10, 1, SIDE, SIDE), dtype=np.float32)

    assert count_refused(limits, appearance, noise) == 10


def test_a_change_that_changes_nothing_is_forgotten():
    slices = Slices(200)
    slices.images = np.maximum(slices.images, slices.images[:, :, ::-1])

    assert "flipped" not in learn_appearance(slices).changed


def test_the_limits_say_what_they_were_set_on(limits, appearance):
    assert (limits.slices, limits.patients) == (150, 150)
    assert set(limits.changes) == set(appearance.changed)


def test_slices_without_changes_have_a_limit_of_distance_alone():
    found = learn_limits([Look(np.array([1.0, 2.0]), {})], patients=2)

    assert found.changes == ()
    assert found.distance_limit > 2.0


def test_the_limit_is_an_order_statistic_where_there_are_enough_values():
    assert find_limit(np.arange(99.0), rate=0.1) == 89.0


def test_the_limit_lies_beyond_too_few_values():
    assert find_limit(np.arange(10.0), rate=0.01) > 9.0


def test_crops_come_from_the_corners_and_the_centre():
    ramp = torch.arange(SIDE, dtype=torch.float32).expand(5, 1, SIDE, SIDE)

    left, right, *_, centre = crop_slices(ramp)[:, 0].mean(dim=(1, 2)).tolist()

    assert left < centre < right
