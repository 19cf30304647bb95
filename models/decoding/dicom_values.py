"""Stored values to real units, brighter is higher (PS3.3 C.11.1, C.7.6.3.1.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_color_lut

from models.decoding.dicom_codecs import StoredFrame
from models.decoding.dicom_groups import find_floats, find_value
from models.decoding.dicom_layout import PixelLayout
from models.decoding.luminance import compute_luminance, has_color
from models.decoding.scan import VoiWindow
from models.errors import CorruptScan, UnsupportedEncoding

_TRANSFORMATION = "PixelValueTransformationSequence"
_MONOCHROME = {"MONOCHROME1", "MONOCHROME2"}
_LUMINANCE_CHROMA = {"YBR_FULL", "YBR_FULL_422"}
_RGB = {"RGB", "YBR_ICT", "YBR_RCT"}
# Lossy codecs move the chroma of a grey picture by one.
_CHROMA_TOLERANCE = 1


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A Modality LUT (PS3.3 C.11.1.1.1): stored value `first` and below maps to `entries[0]`."""

    first: int
    entries: NDArray[np.float64]

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Look up stored values [...]."""
        index = np.clip(values.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[index]


@dataclass(frozen=True, slots=True)
class RealFrame:
    """One frame in real units.

    `pixels`: float32 [H, W]; `is_color` whether it was anything but grey.
    """

    pixels: NDArray[np.float32]
    is_color: bool


def convert_frame(
    frame: StoredFrame, dataset: FileDataset, layout: PixelLayout, index: int
) -> RealFrame:
    """Turn the stored values of frame `index` to real units.

    Raises:
        UnsupportedEncoding: the photometric interpretation is not known.
    """
    if frame.photometric in _MONOCHROME and frame.values.ndim == 2:
        return RealFrame(_convert_grey(frame, dataset, layout, index), is_color=False)
    if frame.photometric == "PALETTE COLOR":
        rgb = apply_color_lut(np.asarray(frame.values), dataset)[..., :3]
        is_color = has_color(rgb)
        return RealFrame(compute_luminance(rgb, is_color=is_color), is_color)
    if frame.values.ndim != 3 or frame.values.shape[2] != 3:
        raise UnsupportedEncoding("one sample a pixel cannot be colour")
    if frame.photometric in _LUMINANCE_CHROMA:
        middle = 1 << (layout.bits_stored - 1)
        chroma = np.abs(frame.values[..., 1:].astype(np.int64) - middle)
        is_color = bool((chroma > _CHROMA_TOLERANCE).any())
        return RealFrame(frame.values[..., 0].astype(np.float32), is_color)
    if frame.photometric in _RGB:
        is_color = has_color(frame.values)
        return RealFrame(compute_luminance(frame.values, is_color=is_color), is_color)
    raise UnsupportedEncoding("the photometric interpretation is not one that is known")


def find_padding(
    values: NDArray[np.generic], dataset: FileDataset, layout: PixelLayout
) -> NDArray[np.bool_] | None:
    """Tell which stored values pad the picture, None where the file names no padding.

    Returns:
        bool [H, W]; true is padding.
    """
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int) or values.ndim != 2:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = [value, limit if isinstance(limit, int) else value]
    if layout.is_signed:
        # Often written as US, whatever the pixel representation says.
        half = 1 << (layout.bits_allocated - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return np.asarray(
        np.greater_equal(values, min(ends)) & np.less_equal(values, max(ends)), dtype=np.bool_
    )


def read_windows(dataset: FileDataset) -> tuple[VoiWindow, ...]:
    """Give the windows that the file proposes for its first frame."""
    centers = find_floats(dataset, 0, "FrameVOILUTSequence", "WindowCenter") or ()
    widths = find_floats(dataset, 0, "FrameVOILUTSequence", "WindowWidth") or ()
    pairs = zip(centers, widths, strict=False)
    return tuple(VoiWindow(c, w) for c, w in pairs if np.isfinite([c, w]).all() and w > 0)


def read_units(dataset: FileDataset) -> str | None:
    """Give the unit of the real values, such as HU."""
    table = _find_table_item(dataset)
    unit = table.get("ModalityLUTType") if table else None
    unit = unit or find_value(dataset, 0, _TRANSFORMATION, "RescaleType") or dataset.get("Units")
    if not unit and dataset.get("Modality") == "CT" and "RescaleSlope" in dataset:
        unit = "HU"
    return None if unit in {None, "", "US"} else str(unit)[:16]


def compute_inversion(dataset: FileDataset, layout: PixelLayout, index: int) -> tuple[float, float]:
    """Give the real values between which MONOCHROME1 is mirrored: the ends of the stored range."""
    if layout.keyword != "PixelData":
        raise UnsupportedEncoding("MONOCHROME1 of floating point has no range to invert")
    low = -(1 << (layout.bits_stored - 1)) if layout.is_signed else 0
    ends = np.array([[low, low + (1 << layout.bits_stored) - 1]], dtype=np.float64)
    table = _read_table(dataset)
    if table:
        return float(table.entries.min()), float(table.entries.max())
    slope, intercept = _read_rescale(dataset, index)
    first, last = (ends * slope + intercept)[0]
    return float(first), float(last)


def _convert_grey(
    frame: StoredFrame, dataset: FileDataset, layout: PixelLayout, index: int
) -> NDArray[np.float32]:
    table = _read_table(dataset) if layout.keyword == "PixelData" else None
    slope, intercept = _read_rescale(dataset, index)
    if table:
        pixels = table.apply(frame.values).astype(np.float32)
    elif (slope, intercept) == (1.0, 0.0):
        pixels = frame.values.astype(np.float32)
    else:
        pixels = (frame.values.astype(np.float64) * slope + intercept).astype(np.float32)
    if frame.photometric == "MONOCHROME1":
        low, high = compute_inversion(dataset, layout, index)
        pixels = np.float32(low + high) - pixels
    return pixels


def _read_rescale(dataset: FileDataset, index: int) -> tuple[float, float]:
    slope = find_floats(dataset, index, _TRANSFORMATION, "RescaleSlope") or (1.0,)
    intercept = find_floats(dataset, index, _TRANSFORMATION, "RescaleIntercept") or (0.0,)
    if not np.isfinite([slope[0], intercept[0]]).all() or slope[0] == 0:
        raise CorruptScan("the rescale slope is zero or no number")
    return slope[0], intercept[0]


def _find_table_item(dataset: FileDataset) -> Dataset | None:
    items = dataset.get("ModalityLUTSequence")
    return items[0] if items and items[0].get("LUTDescriptor") else None


def _read_table(dataset: FileDataset) -> LookupTable | None:
    item = _find_table_item(dataset)
    if item is None:
        return None
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        data = np.frombuffer(data, dtype=f"{order}u{1 if bits <= 8 and len(data) == count else 2}")
    entries = np.asarray(data, dtype=np.float64)[: count or 65536]
    if not entries.size:
        raise CorruptScan("the Modality LUT is empty")
    return LookupTable(first, entries)
