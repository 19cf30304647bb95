"""What decoding gives: pixels in real units, and what is known about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import CorruptScan


@dataclass(frozen=True, slots=True)
class VoiWindow:
    """A window of interest that the file proposes for display, in real units."""

    center: float
    width: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the slices lie in the patient (DICOM PS3.3 C.7.6.2), all lengths in mm.

    `row_direction` and `column_direction` are the unit vectors of Image Orientation (Patient): the
    direction in which the column index grows, then that in which the row index grows. `origins_mm`
    holds the Image Position (Patient) of each slice.
    """

    row_direction: tuple[float, float, float]
    column_direction: tuple[float, float, float]
    origins_mm: tuple[tuple[float, float, float], ...]

    @property
    def slice_positions_mm(self) -> tuple[float, ...]:
        """The origins along the slice normal."""
        normal = np.cross(self.row_direction, self.column_direction)
        return tuple(float(np.dot(normal, origin)) for origin in self.origins_mm)

    def reorder(self, order: Sequence[int]) -> "Placement":
        """Give the place of the slices in another order."""
        origins = tuple(self.origins_mm[index] for index in order)
        return Placement(self.row_direction, self.column_direction, origins)


@dataclass(frozen=True, slots=True)
class SliceSource:
    """Where a slice was: which of the files handed in, which of its frames, counted from 0."""

    file: int
    frame: int


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file of a series that gives no slice: which of those handed in, and the error's code."""

    file: int
    code: str


@dataclass(frozen=True, slots=True)
class DecodedScan:
    """One scan of one or several slices, before any change of ours.

    `pixels`: float32 [S, H, W], real units (HU for CT, else the file's modality units); higher is
    brighter. Colour has become luminance. Checked once here; nobody checks it again. `sources`
    tells where each slice was; by default the slices are the frames of one file as stored. A scan
    with `unread` files lacks slices: nothing may call it typical.
    """

    pixels: NDArray[np.float32]
    sha256: str
    format: str
    bit_depth: int
    is_color: bool = False
    is_inverted: bool = False
    modality: str | None = None
    body_part: str | None = None
    units: str | None = None
    spacing_mm: tuple[float, float] | None = None
    slice_positions_mm: tuple[float, ...] | None = None
    placement: Placement | None = None
    voi_windows: tuple[VoiWindow, ...] = ()
    padding: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[SliceSource, ...] = ()
    unread: tuple[UnreadFile, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.float32 or 0 in self.pixels.shape:
            shape, dtype = self.pixels.shape, self.pixels.dtype
            raise CorruptScan(f"expected float32 pixels [S, H, W], found {dtype} {shape}")
        if not self.sources:
            frames = tuple(SliceSource(0, frame) for frame in range(self.pixels.shape[0]))
            object.__setattr__(self, "sources", frames)

    @property
    def slice_count(self) -> int:
        """How many slices the scan has."""
        return int(self.pixels.shape[0])
