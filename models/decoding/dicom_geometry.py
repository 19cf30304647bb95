"""Where the frames of a DICOM file lie in the patient, and how large their pixels are."""

import numpy as np
from pydicom.dataset import FileDataset

from models.decoding.dicom_groups import find_floats
from models.decoding.scan import Placement

# Each with what is noted; only the first is measured in the patient (PS3.3 10.7.1.3).
_SPACINGS = (
    ("PixelSpacing", None),
    ("ImagerPixelSpacing", "spacing taken at the detector (Imager Pixel Spacing)"),
    ("NominalScannedPixelSpacing", "spacing taken from the film scanner"),
)
_UNIT_TOLERANCE = 1e-2
_MAX_SPACING_MM = 100.0


def read_spacing(dataset: FileDataset, notes: list[str]) -> tuple[float, float] | None:
    """Give the distance of rows and of columns in mm, and note where it does not hold."""
    for keyword, note in _SPACINGS:
        values = find_floats(dataset, 0, "PixelMeasuresSequence", keyword)
        if values is None:
            continue
        if len(values) == 2 and all(0 < value <= _MAX_SPACING_MM for value in values):
            if note:
                notes.append(note)
            return values[0], values[1]
        notes.append(f"{keyword} refused, it holds no two lengths")
    return None


def read_placement(dataset: FileDataset, frames: int, notes: list[str]) -> Placement | None:
    """Give the place of all frames, None where the file does not tell it for each of them."""
    directions = _read_directions(dataset, 0)
    if directions is None:
        return None
    origins = []
    for frame in range(frames):
        origin = find_floats(dataset, frame, "PlanePositionSequence", "ImagePositionPatient")
        if origin is None or len(origin) != 3 or not np.isfinite(origin).all():
            return None
        if _read_directions(dataset, frame) != directions:
            notes.append("frames differ in orientation, so they have no common place")
            return None
        origins.append((origin[0], origin[1], origin[2]))
    if frames > 1 and len(set(origins)) == 1:
        return None
    return Placement(directions[:3], directions[3:], tuple(origins))


def _read_directions(
    dataset: FileDataset, frame: int
) -> tuple[float, float, float, float, float, float] | None:
    values = find_floats(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    if values is None or len(values) != 6:
        return None
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose([*lengths, 1 + row @ column], 1.0, atol=_UNIT_TOLERANCE):
        return None
    unit = np.concatenate([row / lengths[0], column / lengths[1]])
    return tuple(float(value) for value in unit)  # type: ignore[return-value] # six, as above
