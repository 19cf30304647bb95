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


def _find_step_mm(scan: DecodedScan) -> float:
    positions = scan.slice_positions_mm
    if positions is None or len(positions) < 2:
        return 1.0
    return float(abs(positions[-1] - positions[0]) / (len(positions) - 1)) or 1.0
