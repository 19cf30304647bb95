import numpy as np
import pytest

from models.errors import TooFewHealthyScans
from models.specs import ErrorMapSpec, RegionSpec
from training.calibrate import (
    STATISTICS_MARGIN,
    ScoredFold,
    calibrate_fold,
    learn_domain,
    raise_pixel_threshold,
    score_fold,
)
from training.cohort import read_cohort
from training.recipe import PromiseSpec

PROMISE = PromiseSpec(rate=0.2, confidence=0.8)


def make_fold(slices=0, volumes=0, slices_a_patient=1, **facts):
    generator = np.random.default_rng(0)
    return ScoredFold(
        slices=[
            (float(generator.normal()), f"p{patient}")
            for patient in range(slices)
            for _ in range(slices_a_patient)
        ],
        volumes=[(float(generator.normal()), f"p{patient}") for patient in range(volumes)],
        **facts,
    )


def make_statistics(count, seed=0):
    return np.random.default_rng(seed).normal(0.5, 0.1, size=(count, 7))


def make_described(kinds=((None, None, False),), sides=((48, 48),), strangest=0.0):
    statistics = [tuple(row) for row in make_statistics(10, seed=1)]
    statistics.append((0.5 + strangest,) * 7)
    return make_fold(5, statistics=statistics, kinds=set(kinds), sides=set(sides))


@pytest.mark.parametrize(("volumes", "has_volume"), [(0, False), (4, False), (5, True)])
def test_volumes_are_calibrated_where_there_are_enough_of_them(volumes, has_volume):
    found = calibrate_fold(make_fold(20, volumes), PROMISE, np.random.default_rng(0))

    assert found.slice is not None
    assert (found.volume is not None) == has_volume


def test_many_slices_of_a_patient_are_one_vote():
    found = calibrate_fold(make_fold(12, slices_a_patient=30), PROMISE, np.random.default_rng(0))

    assert found.slice.promise.patients == 12
    assert len(found.slice.scores) == 12


def test_too_few_patients_stop_the_run():
    with pytest.raises(TooFewHealthyScans):
        calibrate_fold(make_fold(4, slices_a_patient=50), PROMISE, np.random.default_rng(0))


def test_the_domain_is_what_the_scans_were():
    kinds = [("DX", "CHEST", False), ("CR", None, False)]

    domain = learn_domain(
        make_statistics(50), (make_described(kinds, [(400, 600), (300, 900)]),), ()
    )

    assert domain.modalities == ("CR", "DX")
    assert domain.body_parts == ("CHEST",)
    assert not domain.accepts_unstated
    assert not domain.accepts_color
    assert (domain.shortest_side_px, domain.longest_side_px) == (300, 900)
    assert domain.largest_aspect == pytest.approx(3.0)


def test_pictures_may_be_declared_to_be_of_a_modality():
    domain = learn_domain(make_statistics(50), (make_described(),), ("DX",))

    assert domain.modalities == ("DX",)
    assert domain.accepts_unstated


def test_the_limit_of_the_statistics_is_beyond_the_strangest_healthy_scan():
    near = learn_domain(make_statistics(50), (make_described(strangest=0.2),), ()).statistics
    far = learn_domain(make_statistics(50), (make_described(strangest=1.0),), ()).statistics

    assert far.limit > near.limit
    assert far.measure((1.5,) * 7) == pytest.approx(far.limit / STATISTICS_MARGIN)


@pytest.mark.parametrize(
    ("clean_share", "expected"), [(0.0, 2.0), (0.5, 50.0), (0.9, 90.0), (0.01, 2.0)]
)
def test_the_pixel_threshold_is_raised_until_enough_slices_are_clean(clean_share, expected):
    fold = make_fold(5, hottest=[float(value) for value in range(1, 100)])

    found = raise_pixel_threshold(2.0, fold, make_region(clean_share))

    assert found == expected


def test_without_held_out_slices_the_pixel_threshold_stays():
    assert raise_pixel_threshold(2.0, ScoredFold(), make_region(0.95)) == 2.0


def make_region(clean_share):
    return RegionSpec(error_map=ErrorMapSpec(), clean_share=clean_share)


def test_no_scan_gives_no_domain():
    with pytest.raises(TooFewHealthyScans):
        learn_domain(make_statistics(50), (ScoredFold(),), ())


def test_a_fold_is_scored_and_described(tiny_detector, tiny_cohort):
    scans = list(read_cohort(tiny_cohort).scans("train"))[:8]
    seen = []

    fold = score_fold(tiny_detector.pipeline, scans, seen.append)

    assert seen == scans
    assert [patient for _, patient in fold.slices] == [scan.patient for scan in scans]
    assert fold.volumes == []
    assert fold.kinds == {(None, None, False)}
    assert fold.sides == {(48, 48)}
    assert np.shape(fold.statistics) == (8, 7)
    assert np.shape(fold.hottest) == (8,)
