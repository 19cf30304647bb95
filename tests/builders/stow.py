"""STOW messages and DICOM objects of a study, well formed or not."""

from itertools import count
from typing import Any

import numpy as np
from pydicom.uid import generate_uid

from tests.builders.dicom import AXIAL, build_dicom

BOUNDARY = "aegle-test"
DICOM_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

_NUMBERS = count(1)
_BARE = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality"}


def make_uid() -> str:
    """Give a UID that nobody has used yet."""
    return str(generate_uid())


def build_object(study: str, series: str, position_mm: float = 0.0, **attributes: Any) -> bytes:
    """Give the file of an axial CT slice of a study that was never sent before."""
    number = next(_NUMBERS)
    pixels = np.random.default_rng(number).integers(0, 2000, (48, 48), dtype=np.uint16)
    facts = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "SOPInstanceUID": make_uid(),
        "InstanceNumber": number,
        "PatientName": "Doe^Jane",
        "PatientID": "P-1",
        "StudyDate": "20260102",
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [0.0, 0.0, position_mm],
        "PixelSpacing": [0.5, 0.5],
    }
    facts |= attributes
    # None takes an attribute away, which only those of the bare slice need.
    return build_dicom(
        pixels, **{name: value for name, value in facts.items() if value or name in _BARE}
    )


def build_message(
    *parts: bytes, media_type: str = "application/dicom", end: bytes = b"--\r\n"
) -> bytes:
    """Give a multipart message of these parts; `end` is what follows the last boundary."""
    head = f"\r\n--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + part for part in parts) + f"\r\n--{BOUNDARY}".encode() + end
