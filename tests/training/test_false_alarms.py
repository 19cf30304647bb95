"""What a test may show of a kept promise agrees with drawing calibrations and tests."""

import numpy as np
import pytest

from training.false_alarms import compute_exact_interval, expect_alarms


def test_the_exact_interval_is_that_of_the_tables() -> None:
    # 5 of 100: 0.0164 to 0.1128 (Clopper and Pearson)
    assert compute_exact_interval(5, 100) == pytest.approx((0.01643, 0.11283), abs=1e-5)


@pytest.mark.parametrize(("alarms", "interval"), [(0, (0.0, 0.0362)), (100, (0.9638, 1.0))])
def test_the_exact_interval_ends_at_the_bounds(alarms: int, interval: tuple[float, float]) -> None:
    assert compute_exact_interval(alarms, 100) == pytest.approx(interval, abs=1e-4)


def test_expected_rates_are_those_of_drawn_calibrations_and_tests() -> None:
    generator = np.random.default_rng(0)
    count, rank, healthy = 100, 97, 234
    thresholds = np.sort(generator.random((4000, count)), axis=1)[:, rank - 1]
    rates = (generator.random((4000, healthy)) > thresholds[:, None]).mean(axis=1)

    expected = expect_alarms(count, rank, healthy)

    assert expected.mean == pytest.approx(rates.mean(), abs=0.002)
    assert (expected.low, expected.high) == pytest.approx(
        tuple(np.quantile(rates, [0.025, 0.975])), abs=0.006
    )


@pytest.mark.parametrize("rank", [0, 101])
def test_a_rank_outside_the_calibration_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match="rank"):
        expect_alarms(100, rank, 10)


def test_a_rate_of_no_scans_is_refused() -> None:
    with pytest.raises(ValueError, match="alarms"):
        compute_exact_interval(0, 0)
