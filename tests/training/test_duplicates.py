import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from models.decoding.limits import DecodeLimits
from models.errors import InvalidCohort
from tests.builders.cohorts import Row, make_picture, write_cohort, write_picture
from training.cohort import read_cohort
from training.duplicates import check_duplicates, find_duplicates

SIDE_PX = 96


def find(folder, workers=0):
    cohort = read_cohort(folder)
    return find_duplicates(
        cohort, DecodeLimits(), workers=workers, progress=lambda _done, _total: None
    )


def write_twins(folder, change, first, second):
    """Write six pictures, the last a changed copy of the first."""
    rows = [Row(f"{i}.png", patient=f"p{i}") for i in range(1, 5)]
    picture = make_picture(100, SIDE_PX)
    write_picture(folder / first.path, picture)
    target = folder / second.path
    target.parent.mkdir(parents=True, exist_ok=True)
    change(picture, target)
    write_cohort(folder, [first, *rows, second], side_px=SIDE_PX)


def copy(picture, target):
    write_picture(target, picture)


def compress(picture, target):
    Image.fromarray(picture).save(target, format="JPEG", quality=50)


def shrink(picture, target):
    half = Image.fromarray(picture).resize((SIDE_PX // 2, SIDE_PX // 2), Image.Resampling.LANCZOS)
    half.save(target, format="PNG")


def brighten(picture, target):
    Image.fromarray((picture * 1.15).astype(np.uint8)).save(target, format="PNG")


def add_noise(picture, target):
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    Image.fromarray(np.clip(picture + noise, 0, 255).astype(np.uint8)).save(target, format="PNG")


def test_equal_files_across_splits_are_found_and_refused(tmp_path):
    write_twins(tmp_path, copy, Row("a.png", patient="x"), Row("b.png", "test", patient="y"))

    report = find(tmp_path)

    (pair,) = report.exact
    assert (pair.first, pair.second, pair.across_splits) == ("a.png", "b.png", True)
    assert report.near == ()
    with pytest.raises(InvalidCohort, match=r"1 files of test are also in train: .* a.png = b.png"):
        check_duplicates(report)


def test_equal_files_inside_a_split_are_reported_and_not_refused(tmp_path):
    write_twins(tmp_path, copy, Row("a.png", patient="x"), Row("b.png", patient="x"))

    report = find(tmp_path)

    check_duplicates(report)
    (pair,) = report.exact
    assert not pair.across_splits
    assert not pair.across_patients


@pytest.mark.parametrize("change", [compress, shrink, brighten, add_noise])
def test_a_changed_copy_of_another_patient_is_a_near_duplicate(tmp_path, change):
    write_twins(tmp_path, change, Row("a.png", patient="x"), Row("b.png", "test", patient="y"))

    report = find(tmp_path)

    assert report.exact == ()
    assert [(pair.first, pair.second) for pair in report.near] == [("a.png", "b.png")]
    assert report.near[0].across_splits
    assert "near duplicates: 1 pairs across splits, 1 across patients, 1 in all" in str(report)
    assert "a.png = b.png" in str(report)


def test_a_changed_copy_of_the_same_patient_is_no_near_duplicate(tmp_path):
    write_twins(tmp_path, compress, Row("a.png", patient="x"), Row("b.png", patient="x"))

    assert find(tmp_path).near == ()


def test_another_picture_with_the_same_outline_is_no_duplicate(tmp_path):
    write_cohort(tmp_path, [Row(f"{i}.png") for i in range(20)], side_px=SIDE_PX)

    report = find(tmp_path)

    assert (report.exact, report.near, report.file_count) == ((), (), 20)


def test_files_that_cannot_be_read_are_listed_and_still_compared_by_their_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    write_cohort(tmp_path, [Row("a.png"), Row("b.png", "test"), Row("c.png")])

    report = find(tmp_path)

    assert report.unread == ("a.png", "b.png")
    assert [pair.across_splits for pair in report.exact] == [True]


def test_folders_with_equal_files_are_equal(tmp_path):
    volume = ndimage.zoom(make_picture(1), 2)
    write_picture(tmp_path / "train/healthy/v/1.png", volume)
    shutil.copytree(tmp_path / "train/healthy/v", tmp_path / "test/healthy/w")

    (pair,) = find(tmp_path).exact

    assert (pair.first, pair.second) == ("train/healthy/v", "test/healthy/w")


@pytest.mark.slow
@pytest.mark.real_data
def test_different_patients_of_a_real_cohort_are_not_taken_for_duplicates():
    folder = os.environ.get("AEGLE_REAL_DATA")
    if not folder:
        pytest.skip("AEGLE_REAL_DATA is not set")

    report = find(Path(folder) / "brain_flair")

    assert (report.exact, report.near, report.unread) == ((), (), ())
