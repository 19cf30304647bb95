"""A scan that is not DICOM as Secondary Captures, so that it too shows in a viewer."""

import warnings
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from app.dicom.report_facts import MAKER, derive_uid
from app.dicom.report_objects import settle_dates
from app.dicom.report_sources import copy_patient, format_number
from app.dicom.secondary_capture import wrap_picture
from models.decoding.scan import DecodedScan

_SERIES_NUMBER = 1
_BYTE, _WORD = 255, 65535


@dataclass(frozen=True, slots=True)
class WrapFacts:
    """What is known of a scan besides its pixels."""

    case_id: UUID
    received_at: datetime
    patient_id: str
    patient_name: str
    accession: str
    description: str
    software: str


def wrap_scan(scan: DecodedScan, facts: WrapFacts) -> list[Dataset]:
    """Give a Secondary Capture for each slice, in a study of its own; the same each time."""
    patient = _describe_patient(facts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of names it would rather have otherwise
        return [_wrap_slice(scan, facts, patient, index) for index in range(scan.slice_count)]


def _describe_patient(facts: WrapFacts) -> Dataset:
    known = Dataset()
    known.StudyInstanceUID = derive_uid(facts.case_id, "study")
    known.PatientID = facts.patient_id
    known.PatientName = facts.patient_name
    known.AccessionNumber = facts.accession
    known.StudyDescription = facts.description
    known.StudyDate = f"{facts.received_at:%Y%m%d}"
    known.StudyTime = f"{facts.received_at:%H%M%S}"
    return copy_patient(known)


def _wrap_slice(scan: DecodedScan, facts: WrapFacts, patient: Dataset, index: int) -> Dataset:
    stored, slope, intercept = _store(scan.pixels[index], scan)
    names = {
        "series_instance_uid": derive_uid(facts.case_id, "series"),
        "series_number": _SERIES_NUMBER,
        "series_description": facts.description[:64] or "Wrapped picture",
        "sop_instance_uid": derive_uid(facts.case_id, "slice", index),
        "instance_number": index + 1,
        "manufacturer": MAKER,
        "software_versions": facts.software,
        "transfer_syntax_uid": ExplicitVRLittleEndian,
    }
    dataset = wrap_picture(stored, patient, names, scan.spacing_mm)
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"  # nobody has looked: a picture may show a name
    if slope != 1.0 or intercept != 0.0:
        dataset.RescaleSlope = format_number(slope)
        dataset.RescaleIntercept = format_number(intercept)
        dataset.RescaleType = "US"
    settle_dates(dataset, facts.received_at)
    return dataset


def _store(
    pixels: NDArray[np.float32], scan: DecodedScan
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], float, float]:
    """Give stored values [H, W] with the slope and intercept that make them real again."""
    whole = np.nan_to_num(scan.pixels)
    low, high = float(whole.min()), float(whole.max())
    plane = np.nan_to_num(pixels)
    if low >= 0 and high <= _WORD and bool((plane == plane.round()).all()):
        if high <= _BYTE:
            return plane.astype(np.uint8), 1.0, 0.0
        return plane.astype(np.uint16), 1.0, 0.0
    slope = (high - low) / _WORD or 1.0
    return ((plane - low) / slope).round().astype(np.uint16), slope, low
