import numpy as np
import pytest
from scipy import stats

from app.monitoring.martingale import find_alarm, follow_jumper, rank_online

DELTA = 0.05


def draw(seed, *sizes):
    generator = np.random.default_rng(seed)
    return (*(generator.normal(size=size) for size in sizes), generator)


def rank_slowly(scores, before, tie_breaks):
    pool, p_values = list(before), []
    for score, tie_break in zip(scores, tie_breaks, strict=True):
        above = sum(each > score for each in pool)
        equal = 1 + sum(each == score for each in pool)
        pool.append(score)
        p_values.append((above + tie_break * equal) / len(pool))
    return p_values


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 700])
@pytest.mark.parametrize("known", [0, 40])
def test_ranks_are_those_of_the_definition_also_with_ties(count, known):
    generator = np.random.default_rng(count + known)
    scores = generator.integers(0, 30, count).astype(float)
    before = generator.integers(0, 30, known).astype(float)
    tie_breaks = generator.random(count)

    found = rank_online(scores, before, tie_breaks)

    assert found.tolist() == pytest.approx(rank_slowly(scores, before, tie_breaks))


@pytest.mark.parametrize("digits", [None, 0], ids=["continuous", "ties"])
def test_p_values_of_an_exchangeable_stream_are_uniform_and_independent(digits):
    before, scores, generator = draw(1, 50, 4000)
    if digits is not None:
        before, scores = before.round(digits), scores.round(digits)

    p_values = rank_online(scores, before, generator.random(len(scores)))

    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert abs(stats.spearmanr(p_values[1:], p_values[:-1]).statistic) < 0.05


@pytest.mark.parametrize("known", [0, 30], ids=["stream", "calibration"])
def test_false_alarms_are_as_rare_as_promised(known):
    alarms = 0
    for seed in range(400):
        before, scores, generator = draw(seed, known, 500)
        path = follow_jumper(rank_online(scores, before, generator.random(500)))
        alarms += find_alarm(path, DELTA).first is not None

    # At most delta in truth; 4 standard deviations of chance on top.
    assert alarms / 400 <= DELTA + 4 * (DELTA * (1 - DELTA) / 400) ** 0.5


def test_the_capital_is_one_on_average():
    capitals = []
    for seed in range(3000):
        before, scores, generator = draw(seed, 20, 30)
        path = follow_jumper(rank_online(scores, before, generator.random(30)))
        capitals.append(10 ** path[-1])

    error = np.std(capitals) / len(capitals) ** 0.5
    assert abs(np.mean(capitals) - 1.0) < 4 * error


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_a_stream_unlike_the_calibration_raises_the_alarm(shift):
    for seed in range(20):
        before, scores, generator = draw(seed, 200, 300)
        path = follow_jumper(rank_online(scores + shift, before, generator.random(300)))

        assert find_alarm(path, 0.01).first is not None


def test_a_change_within_a_stream_raises_the_alarm_after_it_and_soon():
    for seed in range(20):
        _, scores, generator = draw(seed, 0, 3000)
        scores[2000:] += 1.0
        path = follow_jumper(rank_online(scores, np.empty(0), generator.random(3000)))

        assert 2000 <= find_alarm(path, 0.001).first < 2300


def test_a_long_quiet_stream_does_not_find_out_that_its_calibration_is_small():
    before, scores, generator = draw(5, 10, 20_000)

    path = follow_jumper(rank_online(scores, before, generator.random(20_000)))

    assert find_alarm(path, 0.01).first is None


def test_the_capital_of_one_bet_is_that_of_the_paper():
    # 1/3 each on -1, 0, 1; p = 0.1: growth (1.4 + 1 + 0.6) / 3 = 1; then the shares have moved.
    shares = np.array([1.4, 1.0, 0.6]) / 3
    moved = 0.99 * shares + 0.01 / 3
    second = (moved * np.array([1.4, 1.0, 0.6])).sum()

    path = follow_jumper(np.array([0.1, 0.1]))

    assert (10**path).tolist() == pytest.approx([1.0, second])


def test_the_capital_of_a_very_strange_stream_does_not_overflow():
    path = follow_jumper(np.zeros(10_000))

    assert np.isfinite(path).all()
    assert find_alarm(path, 0.01).first < 20


def test_nothing_raises_no_alarm():
    found = find_alarm(follow_jumper(np.empty(0)), 0.01)

    assert (found.log10_now, found.log10_highest, found.first) == (0.0, 0.0, None)
