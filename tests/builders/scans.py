"""Decoded scans made of arrays, and small DICOM files of the same arrays."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from models.decoding.scan import DecodedScan

DX_STORAGE = UID("1.2.840.10008.5.1.4.1.1.1.1")
ROOT = "1.2.826.0.1.3680043.8.498"


def make_scan(pixels: NDArray[Any], **facts: Any) -> DecodedScan:
    """Give a decoded scan of one slice [H, W] or several [S, H, W]."""
    stack = np.asarray(pixels, dtype=np.float32)
    stack = stack[None] if stack.ndim == 2 else stack
    known = {"sha256": "0" * 64, "format": "png", "bit_depth": 8}
    return DecodedScan(pixels=stack, **(known | facts))


def make_dicom(pixels: NDArray[np.uint8], number: int = 1, **tags: Any) -> bytes:
    """Give a DICOM file of one slice: uint8 [H, W]; `tags` are added by keyword."""
    dataset = Dataset()
    dataset.SOPClassUID = DX_STORAGE
    dataset.SOPInstanceUID = f"{ROOT}.1.{number}"
    dataset.StudyInstanceUID = f"{ROOT}.2"
    dataset.SeriesInstanceUID = f"{ROOT}.3"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_dicom_series(folder: Path, planes: NDArray[np.uint8]) -> Path:
    """Write slices [S, H, W] as the files of one series, 2 mm apart, named in no order."""
    folder.mkdir(parents=True)
    for index, plane in enumerate(planes):
        content = make_dicom(
            plane,
            number=index + 1,
            InstanceNumber=index + 1,
            ImagePositionPatient=[0.0, 0.0, 2.0 * index],
            ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            PixelSpacing=[1.0, 1.0],
        )
        (folder / f"{(7 * index) % 97:02d}.dcm").write_bytes(content)
    return folder
