"""Arrays as files: npy for programs, NIfTI with its place in the patient for viewers."""

import gzip
import io
from enum import StrEnum

import nibabel
import numpy as np
from numpy.typing import NDArray

from models.decoding.scan import DecodedScan

_FAST = 1
# DICOM counts to the left and back, NIfTI to the right and front.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class VolumeFormat(StrEnum):
    """How an array is written."""

    NIFTI = "nifti"
    NPY = "npy"


MEDIA_TYPES = {VolumeFormat.NIFTI: "application/gzip", VolumeFormat.NPY: "application/octet-stream"}
SUFFIXES = {VolumeFormat.NIFTI: ".nii.gz", VolumeFormat.NPY: ".npy"}


def write_volume(values: NDArray[np.float32], scan: DecodedScan, kind: VolumeFormat) -> bytes:
    """Write float32 [S, H, W] of a scan's geometry.

    NIfTI has the axes (column, row, slice) and a world in mm; npy keeps [S, H, W].
    """
    stream = io.BytesIO()
    if kind is VolumeFormat.NPY:
        np.save(stream, values, allow_pickle=False)
        return stream.getvalue()
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), build_affine(scan))
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=_FAST, mtime=0)


def write_slice(values: NDArray[np.float32], scan: DecodedScan) -> bytes:
    """Write float32 [H, W] of a scan as a plain NIfTI of (column, row); int16 where that is exact.

    Its world is the screen: columns to the right, rows down, as a viewer draws left and back.
    """
    row_mm, column_mm = scan.spacing_mm or (1.0, 1.0)
    narrow = _narrow(values)
    affine = np.diag([-column_mm, -row_mm, 1.0, 1.0])
    image = nibabel.Nifti1Image(narrow.T[:, :, None], affine)
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())


def build_affine(scan: DecodedScan) -> NDArray[np.float64]:
    """Map (column, row, slice) to mm, right, front and up where the scan tells its place."""
    row_mm, column_mm = scan.spacing_mm or (1.0, 1.0)
    affine = np.diag([column_mm, row_mm, _find_step_mm(scan), 1.0])
    place = scan.placement
    if place is None:
        return affine
    affine[:3, 0] = np.multiply(place.row_direction, column_mm)
    affine[:3, 1] = np.multiply(place.column_direction, row_mm)
    affine[:3, 2] = np.cross(place.row_direction, place.column_direction) * _find_step_mm(scan)
    affine[:3, 3] = place.origins_mm[0]
    if len(place.origins_mm) > 1:
        affine[:3, 2] = np.subtract(place.origins_mm[-1], place.origins_mm[0]) / (
            len(place.origins_mm) - 1
        )
    moved: NDArray[np.float64] = _LPS_TO_RAS @ affine
    return moved


def _narrow(values: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.int16]:
    """Give int16 [H, W] where that loses nothing: half the bytes of most CT and MR."""
    with np.errstate(invalid="ignore"):
        narrow = values.astype(np.int16)
    return narrow if np.array_equal(narrow, values) else values


def _find_step_mm(scan: DecodedScan) -> float:
    positions = scan.slice_positions_mm
    if positions is None or len(positions) < 2:
        return 1.0
    return float(abs(positions[-1] - positions[0]) / (len(positions) - 1)) or 1.0
