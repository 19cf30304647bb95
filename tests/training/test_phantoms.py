import csv

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from models.decoding.limits import DecodeLimits
from training.cohort import read_cohort
from training.dataset import decode_cohort_scan, read_scan_mask
from training.duplicates import find_duplicates
from training.phantom_head import make_grid, read_template
from training.phantoms import DemoSpec, write_phantoms

SPEC = DemoSpec(train_patients=4, healthy_patients=2, lesion_patients=12, side_px=64, pixel_mm=3.5)
LIMITS = DecodeLimits()


def write(folder, seed, spec=SPEC):
    return write_phantoms(folder, spec, seed, lambda _done, _total: None)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write(tmp_path_factory.mktemp("demo") / "cohort", 0)


def test_the_demonstration_is_a_cohort_with_lesions_in_the_test_split_alone(demo):
    cohort = read_cohort(demo)

    assert len(cohort.scans("train")) == 4
    assert all(scan.is_healthy for scan in cohort.scans("train"))
    assert [scan.is_healthy for scan in cohort.scans("test")] == [True] * 2 + [False] * 12
    assert {scan.label for scan in cohort.scans("test")} == {"healthy", "lesion"}


def test_every_volume_decodes_with_its_slices_in_the_order_of_its_rows(demo):
    for scan in read_cohort(demo).scans("test"):
        decoded = decode_cohort_scan(scan, LIMITS)

        assert decoded.pixels.shape == (3, 64, 64)
        assert decoded.spacing_mm == (3.5, 3.5)
        assert decoded.slice_positions_mm == SPEC.slice_heights_mm
        assert (decoded.modality, decoded.body_part) == ("MR", "BRAIN")
        assert decoded.notes == ()


def test_a_slice_is_a_lesion_where_its_mask_says_so(demo):
    for scan in read_cohort(demo).scans("test"):
        mask = read_scan_mask(scan, (3, 64, 64), LIMITS)

        is_hit = mask.any(axis=(1, 2)).tolist()
        assert is_hit == [row.label == "lesion" for row in scan.rows]
        assert all(
            (row.mask is not None) == hit for row, hit in zip(scan.rows, is_hit, strict=True)
        )


def test_bright_and_dark_lesions_differ_from_the_tissue_around_them(demo):
    seen = set()
    for scan in read_cohort(demo).scans("test"):
        pixels = decode_cohort_scan(scan, LIMITS).pixels
        mask = read_scan_mask(scan, (3, 64, 64), LIMITS)
        for number, row in enumerate(scan.rows):
            if kind := row.columns["kind"]:
                brain = pixels[number][pixels[number] > 0.3 * pixels[number].max()]
                inside = np.median(pixels[number][mask[number]])
                seen.add(kind)
                assert kind != "bright" or inside > np.median(brain)
                assert kind != "dark" or inside < np.median(brain)
    assert seen == {"bright", "dark", "texture"}


def test_every_scan_says_that_it_is_synthetic_and_names_nobody(demo):
    for path in sorted(demo.rglob("*.dcm")):
        dataset = dcmread(path)

        assert "SYNTHETIC" in dataset.SeriesDescription
        assert "SYNTHETIC" in dataset.ImageComments
        assert dataset.PatientID.startswith("DEMO-")
        assert str(dataset.PatientName) == ""
    assert "SYNTHETIC" in (demo / "README.txt").read_text()


def read_bytes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_equal_seeds_give_equal_files_and_other_seeds_others(demo, tmp_path):
    assert read_bytes(write(tmp_path / "again", 0)) == read_bytes(demo)
    assert read_bytes(write(tmp_path / "other", 1)) != read_bytes(demo)


@pytest.mark.slow
def test_every_patient_of_the_whole_demonstration_who_should_have_a_lesion_shows_one(tmp_path):
    spec = DemoSpec(train_patients=1, healthy_patients=0, lesion_patients=60)

    cohort = read_cohort(write(tmp_path / "demo", 5, spec))

    assert not any(scan.is_healthy for scan in cohort.scans("test"))


def test_no_two_heads_are_alike(demo):
    report = find_duplicates(
        read_cohort(demo), LIMITS, workers=0, progress=lambda _done, _total: None
    )

    assert (report.exact, report.near) == ((), ())


def test_dicom_says_where_in_the_template_each_pixel_lies(demo):
    dataset = dcmread(demo / "train/DEMO-0001_02.dcm")
    places = make_grid(SPEC.side_px, SPEC.pixel_mm, SPEC.slice_heights_mm[1])
    row, column = 10, 50

    corner = np.array(dataset.ImagePositionPatient, dtype=float)
    along_columns, along_rows = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
    point = corner + SPEC.pixel_mm * (column * along_columns + row * along_rows)

    # DICOM counts to the left and to the back, the template to the right and to the front.
    assert point * [-1, -1, 1] == pytest.approx(places[:, row, column])


def test_the_first_row_is_the_front_and_the_first_column_the_right_side():
    template = read_template()
    places = make_grid(64, 3.5, 0.0)

    voxels = np.einsum("ij,jhw->ihw", template.to_voxel[:3, :3], places)
    voxels += template.to_voxel[:3, 3, None, None]

    assert voxels[0, 0, 0] > voxels[0, 0, -1]
    assert voxels[1, 0, 0] > voxels[1, -1, 0]


def test_progress_counts_the_patients(tmp_path):
    calls = []
    spec = SPEC.model_copy(update={"train_patients": 1, "lesion_patients": 1})

    write_phantoms(tmp_path / "demo", spec, 0, lambda done, total: calls.append((done, total)))

    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_an_interrupted_run_left_is_written_anew(demo, tmp_path):
    left = tmp_path / "demo.partial"
    left.mkdir()
    (left / "old.dcm").write_bytes(b"")

    folder = write(tmp_path / "demo", 0)

    assert read_bytes(folder) == read_bytes(demo)
    assert not left.exists()


def test_masks_are_black_and_white_pictures(demo):
    with (demo / "cohort.csv").open() as file:
        names = [row["mask"] for row in csv.DictReader(file) if row["mask"]]

    values = {value for name in names for value in np.unique(np.asarray(Image.open(demo / name)))}
    assert values == {0, 255}
