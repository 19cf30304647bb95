import numpy as np
import pytest
from scipy import stats

from app.monitoring.proportions import measure_proportion


@pytest.mark.parametrize(
    ("count", "total"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1000), (99_000, 100_000)]
)
def test_the_interval_is_that_of_clopper_and_pearson(count, total):
    expected = stats.binomtest(count, total).proportion_ci(method="exact")

    found = measure_proportion(count, total)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.low <= found.share <= found.high


def test_of_nothing_nothing_is_known():
    found = measure_proportion(0, 0)

    assert (found.share, found.low, found.high) == (None, 0.0, 1.0)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_the_interval_holds_the_truth_as_often_as_it_says(share):
    counts = np.random.default_rng(3).binomial(40, share, 2000)

    held = [
        found.low <= share <= found.high
        for found in (measure_proportion(int(c), 40) for c in counts)
    ]

    assert np.mean(held) >= 0.95 - 0.015
