"""The made-up patient by whom a DICOMweb server is checked."""

import io
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

PATIENT_ID = "AEGLE-CHECK"
_SIDE_PX = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Three objects of one series, and one of another study; new UIDs each time."""

    study_uid: str
    series_uid: str
    sop_uids: tuple[str, ...]
    patient_id: str
    files: tuple[bytes, ...]
    stranger: bytes
    pixels: bytes

    def is_same(self, content: bytes) -> bool:
        """Tell whether a file holds the first object, whatever it is encoded in."""
        found = pydicom.dcmread(io.BytesIO(content))
        is_named = str(found.SOPInstanceUID) == self.sop_uids[0]
        return is_named and bool((found.pixel_array.tobytes()) == self.pixels)


def draw_sample() -> Sample:
    """Make up a sample."""
    study, series = _draw_uid(), _draw_uid()
    uids = tuple(_draw_uid() for _ in range(3))
    files = tuple(_write(study, series, uid, number) for number, uid in enumerate(uids, start=1))
    return Sample(
        study_uid=study,
        series_uid=series,
        sop_uids=uids,
        patient_id=PATIENT_ID,
        files=files,
        stranger=_write(_draw_uid(), _draw_uid(), _draw_uid(), 1),
        pixels=_draw_pixels(1),
    )


def _draw_uid() -> str:
    return f"2.25.{uuid4().int}"


def _draw_pixels(number: int) -> bytes:
    ramp = np.arange(_SIDE_PX * _SIDE_PX, dtype=np.uint32) * 7 * number % 251
    return ramp.astype(np.uint8).tobytes()


def _write(study: str, series: str, uid: str, number: int) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.PatientName = PATIENT_ID, "AEGLE^CHECK"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = ""
    dataset.StudyDate, dataset.StudyTime = "20200102", "030405"
    dataset.AccessionNumber = dataset.StudyID = ""
    dataset.Modality, dataset.ConversionType = "OT", "SYN"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.Rows = dataset.Columns = _SIDE_PX
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = _draw_pixels(number)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()
