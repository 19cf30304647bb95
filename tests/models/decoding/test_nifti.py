"""NIfTI volumes: units, the way they are turned, and headers that lie."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, TooManyFrames, TooManyPixels, UnsupportedEncoding
from tests.builders.pictures import build_nifti

LIMITS = DecodeLimits()
VOXELS = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


def place(row: int, column: int, slice_index: int, content: bytes) -> np.ndarray:
    """Give where DICOM has this pixel in the patient, from the placement of the scan."""
    scan = decode_scan(content, LIMITS)
    assert scan.placement is not None
    assert scan.spacing_mm is not None
    return (
        np.array(scan.placement.origins_mm[slice_index])
        + np.array(scan.placement.column_direction) * row * scan.spacing_mm[0]
        + np.array(scan.placement.row_direction) * column * scan.spacing_mm[1]
    )


def test_a_volume_stored_as_scanners_do_is_shown_as_viewers_do() -> None:
    scan = decode_scan(build_nifti(VOXELS, np.diag([-2.0, 3.0, 5.0, 1.0])), LIMITS)

    np.testing.assert_array_equal(scan.pixels, VOXELS[:, ::-1].transpose(2, 1, 0))
    assert scan.spacing_mm == (3.0, 2.0)
    assert scan.slice_positions_mm == (0.0, 5.0, 10.0, 15.0)
    assert scan.bit_depth == 16


@given(
    axes=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
)
def test_a_voxel_keeps_its_place_in_the_patient(axes: list[int], signs: tuple[float]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, axes] * np.array(signs) * np.array([2.0, 3.0, 5.0])
    affine[:3, 3] = [7.0, -11.0, 13.0]
    content = build_nifti(VOXELS, affine)
    scan = decode_scan(content, LIMITS)

    for voxel in [(0, 0, 0), (1, 2, 3), (1, 0, 2)]:
        slice_index, row, column = np.argwhere(scan.pixels == VOXELS[voxel])[0]
        right_front_top = affine @ [*voxel, 1]
        expected = right_front_top[:3] * [-1, -1, 1]
        np.testing.assert_allclose(place(row, column, slice_index, content), expected)


def test_slope_and_intercept_give_real_units() -> None:
    image = nibabel.Nifti1Image(VOXELS, np.eye(4))
    image.header.set_slope_inter(2.0, -7.0)
    content = bytearray(image.to_bytes())
    struct.pack_into("<ff", content, 112, 2.0, -7.0)

    scan = decode_scan(bytes(content), LIMITS)

    assert (scan.pixels.min(), scan.pixels.max()) == (-7.0, 2.0 * VOXELS.max() - 7)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int32])
def test_other_numbers_are_read(dtype: type) -> None:
    scan = decode_scan(gzip.compress(build_nifti(VOXELS.astype(dtype))), LIMITS)

    assert sorted(scan.pixels.ravel()) == list(range(24))


def test_nan_is_kept_and_noted() -> None:
    scan = decode_scan(build_nifti(np.full((2, 2, 2), np.nan, np.float32)), LIMITS)

    assert np.isnan(scan.pixels).all()
    assert "some pixels are not finite" in scan.notes


def test_a_file_without_orientation_says_so() -> None:
    content = bytearray(build_nifti(VOXELS))
    struct.pack_into("<hh", content, 252, 0, 0)

    scan = decode_scan(bytes(content), LIMITS)

    assert "the file tells no orientation" in scan.notes


@pytest.mark.parametrize(
    ("dims", "error"),
    [
        ((3, 30000, 30000, 1, 1), TooManyPixels),
        ((3, 8, 8, 30000, 1), TooManyFrames),
        ((3, 100, 100, 100, 1), CorruptScan),
        ((3, -1, 8, 8, 1), CorruptScan),
        ((4, 2, 3, 2, 2), UnsupportedEncoding),
        ((99, 2, 3, 4, 1), UnsupportedEncoding),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_header_that_lies_is_refused(
    dims: tuple[int, ...], error: type[Exception], *, is_packed: bool
) -> None:
    content = bytearray(build_nifti(VOXELS))
    struct.pack_into("<5h", content, 40, *dims)
    packed = gzip.compress(bytes(content)) if is_packed else bytes(content)

    with pytest.raises(error):
        decode_scan(packed, LIMITS)


def test_a_cut_gzip_is_refused() -> None:
    content = gzip.compress(build_nifti(np.random.default_rng(0).random((9, 9, 9))))

    with pytest.raises(CorruptScan):
        decode_scan(content[:-200], LIMITS)
