import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidCohort
from tests.builders.cohorts import Row, write_cohort
from training.cohort import CohortRow, CohortScan, read_cohort
from training.folds import FOLDS, split_folds
from training.recipe import FoldsSpec

SHARES = FoldsSpec(fit=0.6, validation=0.1, fusion=0.1, calibration=0.2)


def make_scans(patients, label="healthy"):
    rows = [
        CohortRow(None, "train", label, patient, None, None, {}, number)
        for number, patient in enumerate(patients)
    ]
    return [CohortScan(str(row.number), (row,)) for row in rows]


def list_patients(folds):
    return [{scan.patient for scan in getattr(folds, fold)} for fold in FOLDS]


@given(patients=st.lists(st.integers(0, 40), min_size=1, max_size=200), seed=st.integers(0, 2**32))
def test_every_scan_is_in_one_fold_and_every_patient_too(patients, seed):
    scans = make_scans([str(patient) for patient in [*patients, 41, 42, 43]])

    folds = split_folds(scans, SHARES, np.random.default_rng(seed))

    names = [scan.name for fold in FOLDS for scan in getattr(folds, fold)]
    groups = list_patients(folds)
    assert sorted(names) == sorted(scan.name for scan in scans)
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert all(groups)


def test_folds_have_the_shares_of_the_patients():
    scans = make_scans([str(i % 200) for i in range(1000)])

    folds = split_folds(scans, SHARES, np.random.default_rng(0))

    assert [len(group) for group in list_patients(folds)] == [120, 20, 20, 40]


def test_equal_seeds_give_equal_folds_and_other_seeds_others():
    scans = make_scans([str(i) for i in range(50)])

    first, again, other = (
        split_folds(scans, SHARES, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )

    assert list_patients(first) == list_patients(again)
    assert list_patients(first) != list_patients(other)


def test_the_order_of_the_rows_does_not_decide_where_a_patient_goes():
    scans = make_scans([str(i) for i in range(50)])

    first = split_folds(scans, SHARES, np.random.default_rng(1))
    turned = split_folds(scans[::-1], SHARES, np.random.default_rng(1))

    assert list_patients(first) == list_patients(turned)


def test_scans_of_a_cohort_stay_small_views_of_it(tmp_path):
    write_cohort(tmp_path, [Row(f"{i}.png") for i in range(10)])
    scans = read_cohort(tmp_path).scans("train")

    folds = split_folds(scans, SHARES, np.random.default_rng(0))

    assert type(folds.fit) is type(scans)
    assert len(folds.fit) == 6


def test_a_share_of_nothing_leaves_its_fold_empty():
    shares = FoldsSpec(fit=0.8, validation=0.2, fusion=0.0, calibration=0.0)

    folds = split_folds(make_scans("abcde"), shares, np.random.default_rng(0))

    assert [len(group) for group in list_patients(folds)] == [4, 1, 0, 0]


def test_fewer_patients_than_folds_are_refused():
    scans = make_scans("abcabc")

    with pytest.raises(
        InvalidCohort, match="found 3 healthy training patients, expected at least 4"
    ):
        split_folds(scans, SHARES, np.random.default_rng(0))


def test_abnormal_scans_are_refused():
    scans = make_scans("abcd", label="tumour")

    with pytest.raises(InvalidCohort, match="healthy scans only"):
        split_folds(scans, SHARES, np.random.default_rng(0))
