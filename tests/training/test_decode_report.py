"""The 300 assorted files and the real series, where they are at hand."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from models.decoding.limits import DecodeLimits
from models.decoding.series import decode_series, find_scans
from models.decoding.worker import BoundedDecoder
from training.decode_report import FileOutcome, list_files, measure_files

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
LIMITS = DecodeLimits()
GIBI = 2**30
# Where both other tools are wrong: they swap the bytes of 32 bit big endian OW by twos, which gives
# noise (the little endian original has our values); GDCM unpacks 12 bits with nibbles turned
# (dcm2pnm, once told the photometric interpretation, gives our values).
OTHERS_WRONG = {
    "dicom-test-files__rtdose_expb.dcm",
    "dicom-test-files__rtdose_expb_1frame.dcm",
    "fodicom__GH340.dcm",
}
# Cut short, no pixels behind the header, native pixels that claim to be JPEG, nonsense.
BROKEN = {
    "dcm4che__3gb-bulk-data-truncated",
    "dicom-test-files__MR_truncated.dcm",
    "dicom-test-files__meta_missing_tsyntax.dcm",
    "dicom-test-files__nested_priv_SQ.dcm",
    "fodicom__genFile.dcm",
}


@pytest.fixture(scope="module")
def real_data() -> Path:
    folder = os.environ.get("AEGLE_REAL_DATA")
    if not folder:
        pytest.skip("AEGLE_REAL_DATA is not set")
    return Path(folder) / "dicom"


@pytest.fixture(scope="module")
def outcomes(real_data: Path) -> list[FileOutcome]:
    is_compared = shutil.which("dcmdjpeg") is not None
    files = list_files([real_data / "assorted"])
    return list(measure_files(files, LIMITS, is_compared=is_compared))


def test_all_but_the_broken_files_with_pixels_are_decoded(outcomes: list[FileOutcome]) -> None:
    refused = {Path(o.path).name for o in outcomes if o.error not in {None, "no_pixels"}}

    assert refused == BROKEN
    assert Counter(outcome.error for outcome in outcomes)[None] == 267


def test_stored_values_equal_those_of_other_decoders(outcomes: list[FileOutcome]) -> None:
    if all(outcome.comparison is None for outcome in outcomes):
        pytest.skip("DCMTK is not installed")

    differing = {Path(o.path).name for o in outcomes if o.comparison == "differs"}

    assert differing <= OTHERS_WRONG


def test_no_file_takes_long_or_much(outcomes: list[FileOutcome]) -> None:
    assert max(outcome.seconds for outcome in outcomes) < 10
    assert max(outcome.peak_bytes for outcome in outcomes) < GIBI


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mr_head_t1", (51, 384, 274)), ("mr_head_schwannoma", (20, 512, 512))],
)
def test_a_real_series_is_one_volume(
    real_data: Path, name: str, shape: tuple[int, int, int]
) -> None:
    with BoundedDecoder(LIMITS) as decoder:
        scan = decoder.decode(real_data / name)

    assert scan.pixels.shape == shape
    assert scan.slice_positions_mm == tuple(sorted(scan.slice_positions_mm or ()))
    assert scan.modality == "MR"
    assert not scan.notes


def test_enhanced_files_are_volumes_each(real_data: Path) -> None:
    scans = [decode_series(s.parts, LIMITS) for s in find_scans(real_data / "mr_enhanced", LIMITS)]

    assert [scan.pixels.shape for scan in scans] == [(6, 64, 64)] * 4
    assert all(scan.placement is not None for scan in scans)
