"""NIfTI bytes to a decoded scan: the third axis of the file gives the slices."""

import hashlib
import io
import math
import zlib

import nibabel
import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from models.decoding.foreign import translate_foreign
from models.decoding.frame_check import check_enough_bytes, check_frames
from models.decoding.inflate import inflate
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan, Placement
from models.errors import UnsupportedEncoding

# NIfTI counts towards right, front, top; DICOM towards left, back, top.
_TO_DICOM = np.diag([-1.0, -1.0, 1.0])
_HEADER_BYTES = 1024
# Some writers pad; what goes on for longer than this behind the volume is no part of it.
_TRAILING_BYTES = 1 << 20
_ORTHOGONAL_TOLERANCE = 1e-2
_METERS, _MICROMETERS = 1, 3
_TO_MM = {_METERS: 1000.0, _MICROMETERS: 0.001}


def decode_nifti(content: bytes, limits: DecodeLimits, *, is_packed: bool) -> DecodedScan:
    """Decode one volume, its slices turned as a viewer shows them (left of the patient right).

    Args:
        content: the file.
        limits: bounds, checked from the header before the rest is inflated.
        is_packed: whether the file is gzipped.

    Raises:
        DecodeError: the scan cannot be had.
    """
    with translate_foreign("the NIfTI file"):
        head = _inflate_head(content) if is_packed else content[:_HEADER_BYTES]
        kind = nibabel.Nifti2Image if head[4:7] == b"n+2" else nibabel.Nifti1Image
        header = kind.header_class.from_fileobj(io.BytesIO(head), check=False)
        needed = _check_header(header, limits)
        most = min(needed + _TRAILING_BYTES, limits.max_inflated_bytes)
        plain = inflate(content, 16 + zlib.MAX_WBITS, most) if is_packed else content
        check_enough_bytes(len(plain), needed, 1)
        image = kind.from_bytes(plain)
        return _build_scan(image, hashlib.sha256(content).hexdigest())


def _inflate_head(content: bytes) -> bytes:
    return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, _HEADER_BYTES)


def _check_header(header: nibabel.Nifti1Header, limits: DecodeLimits) -> int:
    """Hold sizes against the limits; give the bytes that the file must have."""
    shape = tuple(int(size) for size in header.get_data_shape())
    if not 2 <= len(shape) <= 7 or math.prod(shape[3:]) != 1:
        raise UnsupportedEncoding(f"found an array of {len(shape)} axes, expected one volume")
    columns, rows, slices = (*shape, 1)[:3]
    check_frames(rows, columns, slices, limits)
    dtype = header.get_data_dtype()
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise UnsupportedEncoding("the voxels are no plain numbers")
    return int(header.get_data_offset()) + math.prod(shape) * int(dtype.itemsize)


def _build_scan(image: nibabel.Nifti1Image, digest: str) -> DecodedScan:
    header = image.header
    notes = (
        [] if header["qform_code"] or header["sform_code"] else ["the file tells no orientation"]
    )
    stored = np.asanyarray(image.dataobj.get_unscaled())
    volume = stored.reshape((*stored.shape, 1)[:3])
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    scale = _TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = np.asarray(image.affine, dtype=np.float64)
    affine[:3] *= scale
    turned, affine = _turn(volume, affine)
    pixels = np.empty(turned.shape, dtype=np.float32)
    for index in range(len(pixels)):
        pixels[index] = turned[index] * np.float64(slope) + intercept
    if not np.isfinite(pixels).all():
        notes.append("some pixels are not finite")
    placement, spacing = _place(affine, len(pixels))
    if placement is None:
        notes.append("the file's orientation is no rotation, so the slices have no place")
    return DecodedScan(
        pixels=pixels,
        sha256=digest,
        format="nifti",
        bit_depth=stored.dtype.itemsize * 8,
        spacing_mm=spacing,
        placement=placement,
        slice_positions_mm=placement.slice_positions_mm if placement else None,
        notes=tuple(notes),
    )


def _turn(
    volume: NDArray[np.generic], affine: NDArray[np.float64]
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Turn [i, j, k] to [S, H, W] with left, back and feet of the patient at the far ends.

    Returns:
        the turned volume, a view; float64 [4, 4], mm, slice, row and column index to DICOM's axes.
    """
    affine = affine.copy()
    affine[:3] = _TO_DICOM @ affine[:3]
    world = io_orientation(affine)[:, 0]
    row_axis, column_axis = (1, 0) if np.isnan(world).any() or world[1] > world[0] else (0, 1)
    axes = [2, row_axis, column_axis]
    turned, placed = volume.transpose(axes), affine[:, [*axes, 3]]
    for axis in (1, 2):
        step = placed[:3, axis]
        main = int(np.abs(step).argmax())
        if (step[main] > 0) == (main == 2):
            turned, placed = _flip(turned, placed, axis)
    if np.cross(placed[:3, 2], placed[:3, 1]) @ placed[:3, 0] < 0:
        turned, placed = _flip(turned, placed, 0)
    return turned, placed


def _flip(
    volume: NDArray[np.generic], affine: NDArray[np.float64], axis: int
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    flipped = affine.copy()
    flipped[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
    flipped[:3, axis] *= -1
    return np.flip(volume, axis), flipped


def _place(
    affine: NDArray[np.float64], slices: int
) -> tuple[Placement | None, tuple[float, float] | None]:
    """Give the place of the slices and the spacing of rows and columns, None where there is none.

    Args:
        affine: float64 [4, 4], mm; slice, row and column index to DICOM's axes.
        slices: how many there are.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (lengths[1:] <= 0).any():
        return None, None
    spacing = (float(lengths[1]), float(lengths[2]))
    row, column = affine[:3, 2] / lengths[2], affine[:3, 1] / lengths[1]
    if abs(row @ column) > _ORTHOGONAL_TOLERANCE:
        return None, spacing
    origins = affine[:3, 3] + np.arange(slices)[:, None] * affine[:3, 0]
    return Placement(
        row_direction=(float(row[0]), float(row[1]), float(row[2])),
        column_direction=(float(column[0]), float(column[1]), float(column[2])),
        origins_mm=tuple((float(x), float(y), float(z)) for x, y, z in origins),
    ), spacing
