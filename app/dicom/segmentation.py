"""A finding's regions as a DICOM Segmentation of bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from scipy import ndimage

from app.dicom.report_codes import ANOMALY_DETECTION, UNLIKE_HEALTHY
from app.dicom.report_facts import (
    MAKER,
    WARNING,
    ReportedFinding,
    ReportKind,
    ReportOrder,
    derive_uid,
)
from app.dicom.report_objects import finish_report, name_report
from app.dicom.report_sources import UTF8, build_stand_ins
from models.regions import NEIGHBOURS


def build_segmentation(order: ReportOrder, error_map: NDArray[np.float32]) -> Dataset:
    """Give one segment that holds all regions of the finding.

    Args:
        order: the finding, which has regions, and its scan.
        error_map: float32 [S, H, W], >= 0, multiples of the pixel threshold.
    """
    dataset = Segmentation(
        source_images=build_stand_ins(order),
        pixel_array=mask_regions(error_map, order.finding.regions).astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe_segment(order.finding)],
        omit_empty_frames=False,
        content_label="REGIONS",
        content_description=f"Regions found by {MAKER}. {WARNING}"[:64],
        content_creator_name=MAKER,
        specific_character_set=UTF8,
        **name_report(order.finding, ReportKind.SEGMENTATION),
    )
    return finish_report(dataset, order)


def mask_regions(
    error_map: NDArray[np.float32], regions: Sequence[dict[str, Any]]
) -> NDArray[np.bool_]:
    """Give where the regions are: bool [S, H, W]; true inside.

    Args:
        error_map: float32 [S, H, W], >= 0, multiples of the pixel threshold.
        regions: of that error map, as findings keep them.
    """
    inside = np.zeros(error_map.shape, dtype=np.bool_)
    for index in {region["slice_index"] for region in regions}:
        numbers, _ = ndimage.label(error_map[index] > 1.0, structure=NEIGHBOURS)
        peaks = [region["peak"] for region in regions if region["slice_index"] == index]
        wanted = {int(numbers[row, column]) for row, column in peaks} - {0}
        inside[index] = np.isin(numbers, sorted(wanted))
    return inside


def _describe_segment(finding: ReportedFinding) -> SegmentDescription:
    return SegmentDescription(
        segment_number=1,
        segment_label="Unlike healthy scans",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=UNLIKE_HEALTHY,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=f"{MAKER} {finding.bundle_name}"[:64],
            family=ANOMALY_DETECTION,
            version=finding.software,
            source=MAKER,
            parameters={"bundle": finding.bundle_digest},
        ),
        tracking_uid=derive_uid(finding.id, "tracking"),
        tracking_id=f"{MAKER} {finding.id}",
    )
