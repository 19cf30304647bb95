"""DICOM bytes to a decoded scan in real units."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from models.decoding.dicom_dataset import read_dicom
from models.decoding.dicom_geometry import (
    read_placement,
    read_spacing,
)
from models.decoding.dicom_layout import PixelLayout, read_layout
from models.decoding.dicom_pixels import iterate_stored_frames
from models.decoding.dicom_values import (
    compute_inversion,
    convert_frame,
    find_padding,
    read_units,
    read_windows,
)
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan, Placement, SliceSource, VoiWindow


@dataclass(frozen=True, slots=True)
class _Frames:
    """All frames of a file: float32 [S, H, W], real units; bool [S, H, W] or None, true pads."""

    pixels: NDArray[np.float32]
    padding: NDArray[np.bool_] | None
    is_color: bool

    def reorder(self, order: list[int]) -> "_Frames":
        padding = None if self.padding is None else self.padding[order]
        return _Frames(self.pixels[order], padding, self.is_color)


def decode_dicom(content: bytes, limits: DecodeLimits) -> DecodedScan:
    """Decode one DICOM file of one or several frames, sorted by position where they have one.

    Args:
        content: the file.
        limits: bounds, checked from the header.

    Raises:
        DecodeError: the scan cannot be had.
    """
    found = read_dicom(content, limits, with_pixels=True)
    dataset = found.dataset
    with translate_foreign("the DICOM file"):
        layout = read_layout(dataset, limits)
        frames = _read_frames(dataset, layout)
        notes = [*found.notes, *layout.notes, *_note_dataset(dataset, layout, frames)]
        placement = read_placement(dataset, layout.frames, notes)
        order = _sort_frames(placement, notes)
        if placement and order:
            placement = placement.reorder(order)
            frames = frames.reorder(order)
        is_inverted = layout.photometric == "MONOCHROME1"
        return DecodedScan(
            pixels=frames.pixels,
            padding=frames.padding,
            sha256=hashlib.sha256(content).hexdigest(),
            format="dicom",
            bit_depth=_read_depth(dataset, layout),
            is_color=frames.is_color,
            is_inverted=is_inverted,
            modality=_read_code(dataset, "Modality"),
            body_part=_read_code(dataset, "BodyPartExamined"),
            units=read_units(dataset),
            spacing_mm=read_spacing(dataset, notes),
            placement=placement,
            slice_positions_mm=placement.slice_positions_mm if placement else None,
            voi_windows=_read_windows(dataset, layout, is_inverted=is_inverted),
            notes=tuple(notes),
            sources=tuple(SliceSource(0, frame) for frame in order),
        )


def _read_frames(dataset: FileDataset, layout: PixelLayout) -> _Frames:
    pixels = np.empty((layout.frames, layout.rows, layout.columns), dtype=np.float32)
    padding: NDArray[np.bool_] | None = None
    is_color = False
    for index, stored in enumerate(iterate_stored_frames(dataset, layout)):
        real = convert_frame(stored, dataset, layout, index)
        pixels[index] = real.pixels
        is_color = is_color or real.is_color
        padded = find_padding(stored.values, dataset, layout)
        if padded is not None and padded.any():
            padding = np.zeros(pixels.shape, dtype=np.bool_) if padding is None else padding
            padding[index] = padded
    return _Frames(pixels, padding, is_color)


def _note_dataset(dataset: FileDataset, layout: PixelLayout, frames: _Frames) -> list[str]:
    facts = (
        (layout.photometric == "MONOCHROME1", "MONOCHROME1 turned, so that higher is brighter"),
        (layout.samples == 3 and frames.is_color, "colour turned to luminance"),
        (layout.samples == 3 and not frames.is_color, "grey stored as colour"),
        (layout.photometric == "PALETTE COLOR", "palette turned to luminance"),
        (frames.padding is not None, "padding pixels marked"),
        ("VOILUTSequence" in dataset, "the VOI LUT is not applied"),
        (not np.isfinite(frames.pixels).all(), "some pixels are not finite"),
        (not dataset.preamble, "no preamble"),
    )
    return [note for holds, note in facts if holds]


def _sort_frames(placement: Placement | None, notes: list[str]) -> list[int]:
    """Give the order by position, empty where it is the stored one."""
    if placement is None or len(placement.origins_mm) == 1:
        return []
    positions = np.array(placement.slice_positions_mm)
    if len(np.unique(positions.round(3))) < len(positions):
        notes.append("several frames at one position, kept in stored order")
        return []
    order = np.argsort(positions, kind="stable").tolist()
    if order == list(range(len(order))):
        return []
    notes.append("frames sorted by position")
    return list(order)


def _read_windows(
    dataset: FileDataset, layout: PixelLayout, *, is_inverted: bool
) -> tuple[VoiWindow, ...]:
    windows = read_windows(dataset)
    if not is_inverted:
        return windows
    low, high = compute_inversion(dataset, layout, 0)
    return tuple(VoiWindow(low + high - window.center, window.width) for window in windows)


def _read_depth(dataset: FileDataset, layout: PixelLayout) -> int:
    if layout.photometric == "PALETTE COLOR":
        return int(dataset.RedPaletteColorLookupTableDescriptor[2])
    return layout.bits_stored


def _read_code(dataset: FileDataset, keyword: str) -> str | None:
    """Give a code string, None where it is absent or no code (PS3.5 6.2: 16 capitals, digits)."""
    value = str(dataset.get(keyword) or "").strip().upper()
    is_code = 0 < len(value) <= 16 and value.replace("_", "").replace(" ", "").isalnum()
    return value if is_code and value.isascii() else None
