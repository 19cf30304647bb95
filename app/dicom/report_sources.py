"""The files of a scan as reports refer to them, with clean headers and the decoder's geometry.

highdicom is given one plain header a slice, whatever the files were: single slices, enhanced
multi-frame, or frames without any place in the patient. So the geometry written is the one that the
pixels were scored with, and odd headers of foreign makers cannot break a report. Afterwards the
references to these stand-ins become references to the true files and frames.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat, validate_value

from app.dicom.report_facts import ReportOrder, derive_uid
from models.decoding.dicom_groups import find_floats
from models.decoding.scan import Placement

UTF8 = "ISO_IR 192"

# Patient, study and what made the pictures; everything else is written anew.
_COPIED_GROUPS = {0x0010, 0x0032}
_COPIED = {
    "AccessionNumber", "AdmittingDiagnosesDescription", "DeviceSerialNumber", "InstitutionName",
    "IssuerOfAccessionNumberSequence", "LossyImageCompression", "LossyImageCompressionMethod",
    "LossyImageCompressionRatio", "Manufacturer", "ManufacturerModelName",
    "ReferringPhysicianName", "SoftwareVersions", "StationName", "StudyDate", "StudyDescription",
    "StudyID", "StudyInstanceUID", "StudyTime", "TimezoneOffsetFromUTC",
}  # fmt: skip
_EXPECTED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_FORMS = {
    "PatientSex": re.compile(r"[MFO]?"),
    "PatientBirthDate": re.compile(r"([0-9]{8})?"),
    "StudyDate": re.compile(r"([0-9]{8})?"),
    "StudyTime": re.compile(r"([0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?)?"),
}
_SLICE_UID = "2.25.1"
_FILE_UID = "2.25.2"
_STEP_MM = 1.0
_SAME_MM = 1e-3


def has_place(order: ReportOrder) -> bool:
    """Tell whether the slices have places of their own in a frame of reference."""
    placement = order.scan.placement
    if placement is None or order.scan.spacing_mm is None:
        return False
    if not all(header.get("FrameOfReferenceUID") for header in order.headers):
        return False
    return _is_spread(placement)


def build_stand_ins(order: ReportOrder) -> list[Dataset]:
    """Give a plain header for each slice; its SOP Instance UID is that of `name_slice`.

    A Parametric Map must say where its frames are. Slices that have no place are put one behind the
    other in a frame of reference of their own, which claims nothing about any other picture.
    """
    placement = order.scan.placement
    is_placed = has_place(order)
    own_uid = derive_uid(order.finding.id, "frame of reference")
    stand_ins = []
    for index in range(order.scan.slice_count):
        header = _stand_in(order, name_slice(index))
        header.FrameOfReferenceUID = (
            str(order.headers[0].FrameOfReferenceUID) if is_placed else own_uid
        )
        header.PositionReferenceIndicator = ""
        header.PixelSpacing = [format_number(value) for value in order.scan.spacing_mm or (1, 1)]
        header.SliceThickness = format_number(find_thickness_mm(order))
        if placement is not None and is_placed:
            directions = (*placement.row_direction, *placement.column_direction)
            header.ImageOrientationPatient = [format_number(value) for value in directions]
            origin = placement.origins_mm[index]
            header.ImagePositionPatient = [format_number(value) for value in origin]
        else:
            header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            header.ImagePositionPatient = [0, 0, -_STEP_MM * index]  # keeps highdicom's order
        stand_ins.append(header)
    return stand_ins


def build_file_stand_ins(order: ReportOrder) -> list[Dataset]:
    """Give a plain header for each file as a whole; its SOP Instance UID is that of `name_file`."""
    return [_stand_in(order, name_file(number)) for number in range(len(order.headers))]


def name_slice(index: int) -> str:
    """Give the SOP Instance UID by which a slice is known while a report is made."""
    return f"{_SLICE_UID}.{index}"


def name_file(index: int) -> str:
    """Give the SOP Instance UID by which a file is known while a report is made."""
    return f"{_FILE_UID}.{index}"


def copy_patient(header: Dataset) -> Dataset:
    """Give what a report repeats of a file: patient, study, equipment; without broken values."""
    copied = Dataset()
    for element in header:
        is_wanted = element.tag.group in _COPIED_GROUPS or element.keyword in _COPIED
        if is_wanted and is_valid(element):
            copied.add(element)
    for keyword in _EXPECTED:
        form = _FORMS.get(keyword)
        value = str(copied.get(keyword) or "")
        if keyword not in copied or (form is not None and not form.fullmatch(value)):
            setattr(copied, keyword, "")
    copied.SpecificCharacterSet = UTF8
    return copied


def is_valid(element: DataElement) -> bool:
    """Tell whether an element may be repeated: nothing private, and a value of its VR's form."""
    if element.tag.is_private or element.VR in {"UN", "OB", "OW"}:
        return False
    if element.VR == "SQ":
        return all(is_valid(inner) for item in element.value for inner in item)
    values = element.value if element.VM > 1 else [element.value]
    try:
        for value in values:
            validate_value(element.VR, value, config.RAISE)
    except (ValueError, TypeError):
        return False
    return True


def refer_to_file(order: ReportOrder, file: int) -> Dataset:
    """Give a reference to a file as a whole."""
    header = order.headers[file]
    reference = Dataset()
    reference.ReferencedSOPClassUID = str(header.SOPClassUID)
    reference.ReferencedSOPInstanceUID = str(header.SOPInstanceUID)
    return reference


def refer_to(order: ReportOrder, slice_index: int) -> Dataset:
    """Give a reference to the file that a slice was in, and to its frame where there are several.

    PS3.3 table 10-3: frame numbers begin at 1.
    """
    source = order.scan.sources[slice_index]
    reference = refer_to_file(order, source.file)
    if is_multi_frame(order.headers[source.file]):
        reference.ReferencedFrameNumber = source.frame + 1
    return reference


def is_multi_frame(header: Dataset) -> bool:
    """Tell whether a file has frames that are counted."""
    return "NumberOfFrames" in header and int(header.NumberOfFrames or 1) > 1


def mend_references(dataset: Dataset, order: ReportOrder) -> None:
    """Let references to stand-ins be references to the files, wherever they are."""
    table = {name_slice(index): refer_to(order, index) for index in range(order.scan.slice_count)}
    table |= {name_file(index): refer_to_file(order, index) for index in range(len(order.headers))}
    for item in _walk(dataset):
        reference = table.get(str(item.get("ReferencedSOPInstanceUID", "")))
        if reference is not None:
            item.update(reference)
    _merge_lists(dataset)


def find_thickness_mm(order: ReportOrder) -> float:
    """Give the thickness of a slice: the file's own, else the distance of slices, else 1 mm."""
    own = find_floats(order.headers[0], 0, "PixelMeasuresSequence", "SliceThickness")
    if own is not None and own[0] > 0:
        return own[0]
    positions = sorted(order.scan.slice_positions_mm or ())
    steps = [after - before for before, after in pairwise(positions)]
    return float(min(steps, default=0.0)) or _STEP_MM


def format_number(value: float) -> DSfloat:
    """Give a number as a decimal string of at most 16 characters (PS3.5 6.2)."""
    return DSfloat(float(value), auto_format=True)


def _stand_in(order: ReportOrder, uid: str) -> Dataset:
    header = copy_patient(order.headers[0])
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = uid
    header.SeriesInstanceUID = str(order.headers[0].SeriesInstanceUID)
    header.Modality = "CT"
    header.Rows, header.Columns = order.scan.pixels.shape[1:]
    header.BitsAllocated, header.PixelRepresentation, header.SamplesPerPixel = 16, 0, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    return header


def _is_spread(placement: Placement) -> bool:
    positions = sorted(placement.slice_positions_mm)
    return all(after - before > _SAME_MM for before, after in pairwise(positions))


def _walk(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item)


def _merge_lists(dataset: Dataset) -> None:
    """Name each file once in the lists of files: several slices may have come from one."""
    lists = [(dataset, "SourceImageSequence")]
    lists += [
        (series, "ReferencedInstanceSequence")
        for series in dataset.get("ReferencedSeriesSequence") or []
    ]
    lists += [
        (series, "ReferencedSOPSequence")
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or []
        for series in study.ReferencedSeriesSequence
    ]
    for home, keyword in lists:
        if keyword in home:
            setattr(home, keyword, _merge(home[keyword].value))


def _merge(items: list[Dataset]) -> list[Dataset]:
    """Join references to one file; whole files are meant, so no frames are named."""
    merged: dict[str, Dataset] = {}
    for item in items:
        kept = merged.setdefault(str(item.ReferencedSOPInstanceUID), item)
        if "ReferencedFrameNumber" in kept:
            del kept.ReferencedFrameNumber
    return list(merged.values())
