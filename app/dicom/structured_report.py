"""A finding as a Comprehensive 3D SR after TID 1500: its numbers, its verdict, where it looked."""

from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from app.dicom import report_codes
from app.dicom.report_facts import (
    MAKER,
    WARNING,
    ReportedFinding,
    ReportKind,
    ReportOrder,
    derive_uid,
)
from app.dicom.report_objects import finish_report, name_report
from app.dicom.report_sources import UTF8, build_file_stand_ins, build_stand_ins

# What a report names one by one; the segmentation has them all.
_MAX_REGIONS = 20


def build_structured_report(order: ReportOrder) -> Dataset:
    """Give the report; it names the report of the finding that this one supersedes."""
    slices = build_stand_ins(order)
    files = build_file_stand_ins(order)
    drawn = {int(region["slice_index"]) for region in order.finding.regions[:_MAX_REGIONS]}
    content = MeasurementReport(
        observation_context=_describe_observer(order.finding),
        procedure_reported=report_codes.IMAGING,
        imaging_measurements=[_measure_scan(order, files), *_measure_regions(order, slices)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    dataset = Comprehensive3DSR(
        evidence=[*files, *(slices[index] for index in sorted(drawn))],
        content=content[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=_name_earlier(order),
        specific_character_set=UTF8,
        **name_report(order.finding, ReportKind.STRUCTURED_REPORT),
    )
    return finish_report(dataset, order)


def _describe_observer(finding: ReportedFinding) -> ObservationContext:
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=derive_uid(finding.id, "observer", finding.bundle_digest),
                name=MAKER,
                manufacturer_name=MAKER,
                model_name=finding.bundle_name[:64],
                serial_number=finding.bundle_digest,
            ),
        )
    )


def _describe_algorithm(finding: ReportedFinding) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=f"{MAKER} {finding.bundle_name}",
        version=finding.software,
        parameters=[f"bundle sha256 {finding.bundle_digest}", WARNING],
        family=report_codes.ANOMALY_DETECTION,
        manufacturer=MAKER,
    )


def _measure_scan(
    order: ReportOrder, files: list[Dataset]
) -> MeasurementsAndQualitativeEvaluations:
    finding = order.finding
    numbers = (
        (report_codes.SCORE, finding.score),
        (report_codes.THRESHOLD, finding.threshold),
        (report_codes.P_VALUE, finding.p_value),
    )
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid(finding.id, "tracking"), identifier=f"{MAKER} {finding.id}"
        ),
        finding_type=report_codes.ANOMALY_DETECTION,
        algorithm_id=_describe_algorithm(finding),
        measurements=[
            Measurement(name=name, value=value, unit=codes.UCUM.NoUnits)
            for name, value in numbers
            if value is not None
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(report_codes.VERDICT, report_codes.VERDICTS[finding.verdict]),
            QualitativeEvaluation(report_codes.REVIEW_ADVICE, report_codes.NOT_DIAGNOSTIC),
        ],
        source_images=[
            SourceImageForMeasurementGroup.from_source_image(header) for header in files
        ],
    )
    if finding.reason:
        group[0].ContentSequence.append(
            TextContentItem(
                name=codes.DCM.Comment,
                value=finding.reason,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    return group


def _measure_regions(
    order: ReportOrder, slices: list[Dataset]
) -> list[PlanarROIMeasurementsAndQualitativeEvaluations]:
    return [
        _measure_region(order.finding, slices[region["slice_index"]], number, region)
        for number, region in enumerate(order.finding.regions[:_MAX_REGIONS], start=1)
    ]


def _measure_region(
    finding: ReportedFinding, header: Dataset, number: int, region: dict[str, Any]
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Describe one region by its box in the picture, its area and its peak."""
    measurements = [Measurement(report_codes.PEAK, float(region["peak_value"]), codes.UCUM.NoUnits)]
    if region["area_mm2"] is not None:
        area = Measurement(codes.SCT.Area, float(region["area_mm2"]), codes.UCUM.SquareMillimeter)
        measurements.append(area)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid(finding.id, "region", number),
            identifier=f"{MAKER} {finding.id} region {number}",
        ),
        referenced_region=ImageRegion(
            graphic_type=GraphicTypeValues.POLYLINE,
            graphic_data=_trace_box(region["box"]),
            source_image=SourceImageForRegion.from_source_image(header),
        ),
        finding_type=report_codes.UNLIKE_HEALTHY,
        measurements=measurements,
    )


def _trace_box(box: list[int]) -> NDArray[np.float64]:
    """Give a box as a closed line: float64 [5, 2], (column, row) of the sub-pixel grid.

    A pixel is from its number minus one to its number (PS3.3 C.18.6.1.1): our boxes as they are.
    """
    top, left, bottom, right = (float(value) for value in box)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])


def _name_earlier(order: ReportOrder) -> list[Dataset] | None:
    earlier = order.finding.earlier
    if earlier is None:
        return None
    item = Dataset()
    item.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    item.SOPInstanceUID = derive_uid(earlier, ReportKind.STRUCTURED_REPORT, 1)
    item.StudyInstanceUID = str(order.headers[0].StudyInstanceUID)
    item.SeriesInstanceUID = derive_uid(earlier, ReportKind.STRUCTURED_REPORT, "series")
    return [item]
