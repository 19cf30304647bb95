"""A finding to the DICOM objects that tell of it, in the study of its scan."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from app.dicom.parametric_map import build_parametric_map
from app.dicom.report_facts import ReportKind, ReportOrder
from app.dicom.report_objects import encode_report
from app.dicom.secondary_capture import build_secondary_captures
from app.dicom.segmentation import build_segmentation
from app.dicom.structured_report import build_structured_report
from models.decoding.foreign import translate_foreign


@dataclass(frozen=True, slots=True)
class Report:
    """One object: its data set and its file."""

    kind: ReportKind
    dataset: Dataset
    content: bytes


def build_reports(order: ReportOrder, kinds: frozenset[ReportKind]) -> Iterator[Report]:
    """Give the objects of a finding, those of the wanted kinds that it has something to say in.

    A scan that could not be looked at has no error map; a finding without regions has no
    segmentation. The same finding gives the same bytes.

    Raises:
        DecodeError: the headers of the scan are too odd to be referred to.
    """
    with translate_foreign("the DICOM report"):
        for kind, dataset in _build(order):
            if kind in kinds:
                yield Report(kind, dataset, encode_report(dataset))


def _build(order: ReportOrder) -> Iterator[tuple[ReportKind, Dataset]]:
    error_map = order.error_map
    for capture in build_secondary_captures(order, error_map):
        yield ReportKind.SECONDARY_CAPTURE, capture
    yield ReportKind.STRUCTURED_REPORT, build_structured_report(order)
    if error_map is None:
        return
    yield ReportKind.PARAMETRIC_MAP, build_parametric_map(order, error_map)
    if order.finding.regions:
        yield ReportKind.SEGMENTATION, build_segmentation(order, error_map)
