"""Error map to regions: the connected places where it exceeds the pixel threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.specs import RegionSpec

# Diagonal neighbours belong together.
NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class Region:
    """One connected place of a slice above the pixel threshold, in original pixels.

    `box` is (first row, first column, last row + 1, last column + 1). `peak_value` is in multiples
    of the pixel threshold.
    """

    slice_index: int
    box: tuple[int, int, int, int]
    area_px: int
    area_mm2: float | None
    peak: tuple[int, int]
    peak_value: float


def find_regions(
    error_map: NDArray[np.float32], spacing_mm: tuple[float, float] | None, spec: RegionSpec
) -> tuple[Region, ...]:
    """Find the regions of a scan, the strangest first.

    Args:
        error_map: float32 [S, H, W], >= 0, multiples of the pixel threshold, original pixels.
        spacing_mm: between rows, between columns, where known.
        spec: the smallest region that counts, and how many are kept.
    """
    found: list[Region] = []
    for index, plane in enumerate(error_map):
        if plane.max() > 1.0:
            found.extend(_find_in_slice(plane, index, spacing_mm, spec))
    found.sort(key=lambda region: (-region.peak_value, region.slice_index, region.box))
    return tuple(found[: spec.maximum_count])


def _find_in_slice(
    plane: NDArray[np.float32],
    slice_index: int,
    spacing_mm: tuple[float, float] | None,
    spec: RegionSpec,
) -> list[Region]:
    """Find the regions of one slice: float32 [H, W], >= 0, multiples of the pixel threshold."""
    labels, _ = ndimage.label(plane > 1.0, structure=NEIGHBOURS)
    smallest_px = max(1.0, spec.minimum_area_share * plane.size)
    regions = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[rows, columns] == number
        area_px = int(inside.sum())
        if area_px < smallest_px:
            continue
        values = np.where(inside, plane[rows, columns], 0.0)
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        regions.append(
            Region(
                slice_index=slice_index,
                box=(rows.start, columns.start, rows.stop, columns.stop),
                area_px=area_px,
                area_mm2=None if spacing_mm is None else area_px * spacing_mm[0] * spacing_mm[1],
                peak=(int(rows.start + row), int(columns.start + column)),
                peak_value=float(values.max()),
            )
        )
    return regions
