import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from models.decoding.limits import DecodeLimits
from models.errors import InvalidCohort
from tests.builders.cohorts import Row, make_picture, write_cohort, write_picture
from training.cohort import read_cohort
from training.dataset import decode_cohort_scan, read_mask, read_scan_mask
from training.phantoms import DemoSpec, write_phantoms

LIMITS = DecodeLimits()


def read_row(folder, **fields):
    write_cohort(folder, [Row("a.png", "test", **fields)])
    return read_cohort(folder).scans("test")[0].rows[0]


def test_slice_i_of_a_series_of_pictures_comes_from_row_i(tmp_path):
    places = {"c.png": "0.1", "a.png": "0.9", "b.png": "0.5"}
    rows = [Row(name, series="v", more={"position": place}) for name, place in places.items()]
    write_cohort(tmp_path, rows)
    scan = read_cohort(tmp_path).scans("train")[0]

    decoded = decode_cohort_scan(scan, LIMITS)

    for row, pixels in zip(scan.rows, decoded.pixels, strict=True):
        assert np.array_equal(pixels, np.asarray(Image.open(row.path), dtype=np.float32))


@pytest.mark.parametrize("is_reversed", [False, True])
def test_slice_i_of_a_dicom_series_comes_from_row_i_however_the_cohort_counts(
    tmp_path, is_reversed
):
    spec = DemoSpec(train_patients=1, healthy_patients=0, lesion_patients=0, side_px=48)
    demo = write_phantoms(tmp_path / "demo", spec, 1, lambda _done, _total: None)
    if is_reversed:
        table = (demo / "cohort.csv").read_text().replace(",0.", ",-0.")
        (demo / "cohort.csv").write_text(table)
    scan = read_cohort(demo).scans("train")[0]

    decoded = decode_cohort_scan(scan, LIMITS)

    heights = [float(dcmread(row.path).ImagePositionPatient[2]) for row in scan.rows]
    assert heights == sorted(heights, reverse=is_reversed)
    assert decoded.slice_positions_mm == pytest.approx(heights)
    assert decoded.placement.slice_positions_mm == pytest.approx(heights)
    for row, pixels in zip(scan.rows, decoded.pixels, strict=True):
        assert np.array_equal(pixels, dcmread(row.path).pixel_array)


@pytest.mark.parametrize("level", [1, 255])
def test_every_value_over_zero_of_a_mask_is_abnormal(tmp_path, level):
    marked = np.zeros((32, 32), dtype=np.uint8)
    marked[3:9, 20:30] = level
    write_picture(tmp_path / "m.png", marked)

    mask = read_mask(read_row(tmp_path, label="tumour", mask="m.png"), (32, 32), LIMITS)

    assert mask.dtype == np.bool_
    assert np.array_equal(mask, marked > 0)


def test_grey_fringes_of_a_lossy_mask_are_not_abnormal(tmp_path):
    marked = np.zeros((64, 64), dtype=np.uint8)
    marked[8:40, 8:40] = 255
    write_picture(tmp_path / "m.jpg", marked)

    mask = read_mask(read_row(tmp_path, label="tumour", mask="m.jpg"), (64, 64), LIMITS)

    assert np.array_equal(mask, marked > 0)


def test_a_mask_of_another_size_is_resized_to_the_nearest_pixel(tmp_path):
    marked = np.zeros((8, 16), dtype=np.uint8)
    marked[2, 5] = 255
    write_picture(tmp_path / "m.png", marked)

    mask = read_mask(read_row(tmp_path, label="tumour", mask="m.png"), (32, 32), LIMITS)

    assert np.array_equal(np.argwhere(mask).min(0), [8, 10])
    assert np.array_equal(np.argwhere(mask).max(0), [11, 11])


def test_a_healthy_row_has_an_empty_mask_and_an_abnormal_one_without_a_mask_none(tmp_path):
    healthy = read_mask(read_row(tmp_path, label="healthy"), (4, 5), LIMITS)
    unknown = read_mask(read_row(tmp_path, label="tumour"), (4, 5), LIMITS)

    assert healthy.shape == (4, 5)
    assert not healthy.any()
    assert unknown is None


def test_a_flat_mask_for_a_volume_is_refused(tmp_path):
    row = read_row(tmp_path, label="tumour", mask="m.png")

    with pytest.raises(InvalidCohort, match="mask of row 2 has 1 slices, expected 5"):
        read_mask(row, (5, 32, 32), LIMITS)


def test_the_mask_of_a_series_is_stacked_in_the_order_of_its_rows(tmp_path):
    marked = make_picture(3)
    write_picture(tmp_path / "m.png", marked)
    write_cohort(
        tmp_path,
        [
            Row("a.png", "test", series="v"),
            Row("b.png", "test", "tumour", mask="m.png", series="v"),
        ],
    )
    scan = read_cohort(tmp_path).scans("test")[0]

    mask = read_scan_mask(scan, (2, 32, 32), LIMITS)

    assert not mask[0].any()
    assert np.array_equal(mask[1], marked > 0)


def test_a_series_with_one_unknown_slice_has_no_mask(tmp_path):
    write_cohort(
        tmp_path,
        [Row("a.png", "test", series="v"), Row("b.png", "test", "tumour", series="v")],
    )
    scan = read_cohort(tmp_path).scans("test")[0]

    assert read_scan_mask(scan, (2, 32, 32), LIMITS) is None
