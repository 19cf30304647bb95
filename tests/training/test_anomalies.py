import pytest
import torch

from tests.builders.fitting import MemorySlices
from tests.builders.networks import make_generator
from training.anomalies import ANOMALIES, DIFFUSE, Batch, insert_anomaly

FOCAL = tuple(kind for kind in ANOMALIES if kind not in DIFFUSE)


def make_batch(count: int = 8) -> Batch:
    slices = MemorySlices(count, size_px=64)
    return Batch(slices.image, slices.foreground)


@pytest.mark.parametrize("kind", ANOMALIES)
def test_an_anomaly_changes_the_body_and_nothing_else(kind):
    batch = make_batch()

    altered = insert_anomaly(batch, kind, make_generator())

    assert altered.min() >= 0
    assert altered.max() <= 1
    changed = altered != batch.image
    assert not changed[~batch.foreground].any()
    assert changed.flatten(1).any(1).all()


@pytest.mark.parametrize("kind", ANOMALIES)
def test_equal_generators_give_equal_anomalies(kind):
    batch = make_batch()

    first, second = (insert_anomaly(batch, kind, make_generator(5)) for _ in range(2))

    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", FOCAL)
def test_a_focus_is_small(kind):
    batch = make_batch(32)

    altered = insert_anomaly(batch, kind, make_generator())

    is_changed = (altered - batch.image).abs() > 0.02
    assert is_changed.flatten(1).float().mean(1).max() < 0.15


@pytest.mark.parametrize(("kind", "sign"), [("bright", 1), ("dark", -1)])
def test_a_bright_focus_is_brighter_and_a_dark_one_darker(kind, sign):
    batch = make_batch()

    altered = insert_anomaly(batch, kind, make_generator())

    assert ((altered - batch.image) * sign >= 0).all()
