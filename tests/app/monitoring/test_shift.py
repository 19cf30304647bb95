import numpy as np
import pytest

from app.monitoring.shift import count_bins, measure_shift


def draw(seed, *sizes):
    generator = np.random.default_rng(seed)
    return tuple(generator.normal(size=size) for size in sizes)


def test_without_shift_the_test_is_rarely_sure_and_the_psi_is_that_of_chance():
    found = [measure_shift(*draw(seed, 200, 300)) for seed in range(300)]

    sure = np.mean([each.ks_p_value < 0.05 for each in found])
    psi = np.mean([each.psi for each in found])
    assert sure < 0.08
    assert psi == pytest.approx(found[0].psi_by_chance, rel=0.2)


@pytest.mark.parametrize("shift", [0.7, -0.7])
def test_a_shift_is_seen_by_both(shift):
    stream, calibration = draw(1, 3000, 3000)

    found = measure_shift(stream + shift, calibration)

    assert found.ks_p_value < 1e-6
    assert found.ks == pytest.approx(0.27, abs=0.05)
    assert found.psi > 0.25


def test_the_index_of_the_same_scores_is_zero():
    (scores,) = draw(2, 500)

    found = measure_shift(scores, scores)

    assert (found.ks, found.psi) == (0.0, 0.0)


@pytest.mark.parametrize("count", [0, 4])
def test_a_few_scans_tell_nothing(count):
    assert measure_shift(*draw(3, count, 100)) is None


def test_equal_calibration_scores_are_no_fault():
    assert np.isfinite(measure_shift(np.ones(10), np.ones(10)).psi)


def test_every_score_is_in_one_bin_and_bins_do_not_depend_on_the_stream():
    stream, calibration = draw(4, 100, 50)

    found = count_bins(np.append(stream, [-100.0, 100.0]), calibration, threshold=3.0)

    assert (sum(found.stream), sum(found.calibration)) == (102, 50)
    assert len(found.edges) == len(found.stream) + 1 == len(found.calibration) + 1
    assert found.edges[0] < calibration.min()
    assert found.edges[-1] > 3.0
    assert found.edges == count_bins(stream[:5], calibration, threshold=3.0).edges
