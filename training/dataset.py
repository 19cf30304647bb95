"""Scans of a cohort to pixels and masks, and cached slices to the pairs that training takes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.decoding.slice_header import read_slice_header
from models.errors import InvalidCohort
from training.cohort import CohortRow, CohortScan
from training.scan_stream import decode_parts
from training.slice_file import SliceFile

# A lossy picture of a mask has grey fringes; elsewhere every value over 0 belongs to it.
_LOSSY_FORMATS = ("jpeg", "webp")
_LOSSY_LEVEL = 127.5


class SliceDataset(Dataset[tuple[Tensor, Tensor]]):
    """Slices for the training loop, as pairs of image and foreground.

    `scan_index`: int32 [N], which scan of the cache each slice comes from.
    `slice_index`: int32 [N], which slice of that scan.
    """

    def __init__(
        self, file: SliceFile, indices: NDArray[np.int64], index: NDArray[np.int32]
    ) -> None:
        self._file = file
        self._indices = indices
        self.scan_index: NDArray[np.int32] = index[indices, 0]
        self.slice_index: NDArray[np.int32] = index[indices, 1]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, foreground = self._file.read([int(self._indices[index])])
        return image[0], foreground[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Give several slices at once; the data loader asks for whole batches."""
        image, foreground = self.read_batch(indices)
        return list(zip(image, foreground, strict=True))

    def read_batch(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Read a batch.

        Returns:
            image: float32 [B, 1, H, W], 0..1, share of the intensity window.
            foreground: bool [B, 1, H, W]; True inside the body.
        """
        return self._file.read(self._indices[list(indices)].tolist())


def decode_cohort_scan(scan: CohortScan, limits: DecodeLimits) -> DecodedScan:
    """Decode a scan of a cohort in this process; slice `i` of a series comes from row `i`.

    Raises:
        DecodeError: the files give no scan.
    """
    paths = [row.path for row in scan.rows]
    decoded = decode_parts(paths, limits)
    if len(paths) == 1:
        return decoded
    return _reorder_slices(decoded, _find_slices(paths, limits))


def read_mask(
    row: CohortRow, shape: tuple[int, ...], limits: DecodeLimits
) -> NDArray[np.bool_] | None:
    """Read where a row's scan is abnormal, in the scan's original pixels.

    A mask of another size is resized to the nearest pixel. A healthy row needs no mask.

    Args:
        row: the row.
        shape: of the scan's pixels, (H, W) for one slice or (S, H, W) for a volume.
        limits: what the mask may ask of the decoder.

    Returns:
        bool of that shape; True where abnormal. None where an abnormal row has no mask.

    Raises:
        DecodeError: the mask gives no picture.
        InvalidCohort: the mask has another number of slices.
    """
    if row.mask is None:
        return np.zeros(shape, dtype=np.bool_) if row.is_healthy else None
    mask = decode_scan(row.mask, limits)
    slices = shape[0] if len(shape) == 3 else 1
    if mask.slice_count != slices:
        raise InvalidCohort(
            f"the mask of row {row.number} has {mask.slice_count} slices, expected {slices}"
        )
    is_marked = mask.pixels > (_LOSSY_LEVEL if mask.format in _LOSSY_FORMATS else 0.0)
    return _resize_nearest(is_marked, shape[-2], shape[-1]).reshape(shape)


def read_scan_mask(
    scan: CohortScan, shape: tuple[int, int, int], limits: DecodeLimits
) -> NDArray[np.bool_] | None:
    """Read where a scan is abnormal, over all its slices.

    Returns:
        bool [S, H, W], original pixels; True where abnormal. None where any slice is unknown.
    """
    if len(scan.rows) == 1:
        return read_mask(scan.rows[0], shape, limits)
    if len(scan.rows) != shape[0]:
        raise InvalidCohort(f"{scan.name} has {shape[0]} slices, expected {len(scan.rows)}")
    masks = [read_mask(row, shape[1:], limits) for row in scan.rows]
    known = [mask for mask in masks if mask is not None]
    return np.stack(known) if len(known) == len(masks) else None


def _find_slices(paths: Sequence[Path], limits: DecodeLimits) -> NDArray[np.intp]:
    """Find which slice of the decoded series each file became: decoding sorts DICOM slices."""
    headers = [read_slice_header(path.read_bytes(), limits) for path in paths]
    found = [header for header in headers if header is not None]
    if len(found) < len(paths):
        return np.arange(len(paths))
    positions = [header.position_mm for header in found if header.position_mm is not None]
    numbers = [header.instance for header in found]
    order = np.argsort(positions if len(positions) == len(paths) else numbers, kind="stable")
    return np.argsort(order)


def _reorder_slices(scan: DecodedScan, slices: NDArray[np.intp]) -> DecodedScan:
    """Give the scan with these slices, in this order."""
    if np.array_equal(slices, np.arange(scan.slice_count)):
        return scan
    positions = scan.slice_positions_mm
    return replace(
        scan,
        pixels=scan.pixels[slices],
        padding=None if scan.padding is None else scan.padding[slices],
        slice_positions_mm=None if positions is None else tuple(positions[i] for i in slices),
        placement=None if scan.placement is None else scan.placement.reorder(slices.tolist()),
    )


def _resize_nearest(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    """Resize by taking the pixel whose area holds the new centre: bool [S, rows, columns]."""
    row_index = (np.arange(rows) + 0.5) * mask.shape[1] / rows
    column_index = (np.arange(columns) + 0.5) * mask.shape[2] / columns
    return mask[:, row_index.astype(np.intp)[:, None], column_index.astype(np.intp)]
