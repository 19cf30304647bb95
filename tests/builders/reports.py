"""Findings of DICOM scans, put together for the tests of what is made from them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from app.analysis.findings import describe_regions
from app.dicom.report_facts import ReportedFinding, ReportOrder
from models.decoding.dicom_dataset import read_dicom
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.decoding.series import decode_series
from models.regions import find_regions
from models.specs import RegionSpec
from tests.builders.dicom import build_dicom

LIMITS = DecodeLimits()
FINDING = UUID(int=7)
EARLIER = UUID(int=6)
ROOT = "1.2.826.0.1.3680043.8.498"
OBLIQUE = [0.8, 0.6, 0.0, 0.0, 0.0, -1.0]
FLIPPED = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]


def build_slices(count: int, orientation: list[float], step_mm: float = 2.5) -> list[bytes]:
    """Give the files of a CT series that lies in this orientation, in no order."""
    normal = np.cross(orientation[:3], orientation[3:])
    generator = np.random.default_rng(3)
    files = []
    for number in range(count):
        position = np.array([-30.0, 12.5, 7.0]) + step_mm * number * normal
        files.append(
            build_dicom(
                generator.integers(0, 900, (24, 20)).astype(np.uint16),
                BitsStored=12,
                StudyInstanceUID=f"{ROOT}.5",
                SeriesInstanceUID=f"{ROOT}.6",
                SOPInstanceUID=f"{ROOT}.7.{number + 1}",
                FrameOfReferenceUID=f"{ROOT}.8",
                PatientID="P1",
                PatientName="Test^Patient",
                InstanceNumber=number + 1,
                ImageOrientationPatient=orientation,
                ImagePositionPatient=[float(value) for value in position],
                PixelSpacing=[0.8, 0.4],
                SliceThickness=step_mm,
                RescaleSlope=1,
                RescaleIntercept=-1024,
            )
        )
    return [*files[1::2], *files[::2]]


def make_error_map(scan: DecodedScan) -> NDArray[np.float32]:
    """Make an error map with one hot place a slice: float32 [S, H, W], >= 0."""
    slices, height, width = scan.pixels.shape
    rows, columns = np.mgrid[:height, :width]
    planes = []
    for index in range(slices):
        middle = width * (0.3 + 0.4 * index / slices)
        distance = (rows - 0.4 * height) ** 2 + (columns - middle) ** 2
        planes.append(3.5 * np.exp(-distance / (2 * (min(height, width) / 9) ** 2)))
    return np.stack(planes).astype(np.float32)


def make_order(files: list[bytes], **changes: Any) -> ReportOrder:
    """Order reports of a made-up finding of a scan that consists of these files."""
    scan = decode_series(files, LIMITS)
    headers = tuple(read_dicom(file, LIMITS, with_pixels=False).dataset for file in files)
    return order_reports(scan, headers, **changes)


def order_reports(scan: DecodedScan, headers: tuple[Dataset, ...], **changes: Any) -> ReportOrder:
    """Order reports of a made-up finding of a decoded scan."""
    error_map = make_error_map(scan)
    spec = RegionSpec.model_construct(minimum_area_share=1e-4, maximum_count=30)
    values: dict[str, Any] = {
        "id": FINDING,
        "made_at": datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        "bundle_name": "head-ct",
        "bundle_digest": "ab" * 32,
        "verdict": "anomalous",
        "score": 4.2,
        "p_value": 0.01,
        "threshold": 2.0,
        "reason": "",
        "slice_scores": tuple(float(value) for value in error_map.max(axis=(1, 2))),
        "regions": tuple(describe_regions(find_regions(error_map, scan.spacing_mm, spec))),
        "earlier": None,
        "software": "0.1.0",
    }
    return ReportOrder(ReportedFinding(**(values | changes)), scan, error_map, headers)
