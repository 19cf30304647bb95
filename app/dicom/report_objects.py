"""What all reports share: names, dates and references, the same whenever they are made again."""

import io
from datetime import datetime
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from app.dicom.report_codes import describe_scheme
from app.dicom.report_facts import MAKER, ReportedFinding, ReportKind, ReportOrder, derive_uid
from app.dicom.report_sources import mend_references

# Above the numbers that scanners give, so that results come last in a study.
_SERIES_NUMBERS = {
    ReportKind.SECONDARY_CAPTURE: 9001,
    ReportKind.STRUCTURED_REPORT: 9002,
    ReportKind.PARAMETRIC_MAP: 9003,
    ReportKind.SEGMENTATION: 9004,
}
_DESCRIPTIONS = {
    ReportKind.SECONDARY_CAPTURE: "overlay",
    ReportKind.STRUCTURED_REPORT: "report",
    ReportKind.PARAMETRIC_MAP: "error map",
    ReportKind.SEGMENTATION: "regions",
}
_DATES = ("InstanceCreationDate", "ContentDate", "SeriesDate", "DateOfSecondaryCapture")
_TIMES = ("InstanceCreationTime", "ContentTime", "SeriesTime", "TimeOfSecondaryCapture")


def name_report(finding: ReportedFinding, kind: ReportKind, number: int = 1) -> dict[str, Any]:
    """Give the arguments by which highdicom names a new instance."""
    description = f"{MAKER} {_DESCRIPTIONS[kind]}: {finding.verdict}"
    if finding.earlier is not None:
        description += " (supersedes an earlier one)"
    return {
        "series_instance_uid": derive_uid(finding.id, kind, "series"),
        "series_number": _SERIES_NUMBERS[kind],
        "series_description": description,
        "sop_instance_uid": derive_uid(finding.id, kind, number),
        "instance_number": number,
        "manufacturer": MAKER,
        "manufacturer_model_name": finding.bundle_name[:64],
        "software_versions": finding.software,
        "device_serial_number": finding.bundle_digest,
        "transfer_syntax_uid": ExplicitVRLittleEndian,
    }


def finish_report(dataset: Dataset, order: ReportOrder) -> Dataset:
    """Mend references, and settle what highdicom took from the clock or drew by chance."""
    mend_references(dataset, order)
    dataset.CodingSchemeIdentificationSequence = [describe_scheme()]
    settle_dates(dataset, order.finding.made_at)
    _settle_dimensions(dataset, derive_uid(order.finding.id, str(dataset.SOPClassUID), "dimension"))
    return dataset


def encode_report(dataset: Dataset) -> bytes:
    """Give the file of a report."""
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def settle_dates(dataset: Dataset, at: datetime) -> None:
    """Let everything be dated from the finding, so that it is the same when made again."""
    for keyword in _DATES:
        if keyword in dataset:
            setattr(dataset, keyword, f"{at:%Y%m%d}")
    for keyword in _TIMES:
        if keyword in dataset:
            setattr(dataset, keyword, f"{at:%H%M%S}")
    dataset.SeriesDate, dataset.SeriesTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    for equipment in dataset.get("ContributingEquipmentSequence") or []:
        if "ContributionDateTime" in equipment:
            equipment.ContributionDateTime = f"{at:%Y%m%d%H%M%S}"


def _settle_dimensions(dataset: Dataset, uid: str) -> None:
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(keyword) or []:
            item.DimensionOrganizationUID = uid
