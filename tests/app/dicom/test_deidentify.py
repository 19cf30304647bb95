"""Objects without their patient: nothing of them left, the same person always the same."""

import io

import pydicom
import pytest
from pydicom.dataset import Dataset

from app.dicom.crosswalk import Crosswalk
from app.dicom.deidentify import Deidentifier
from app.dicom.report_facts import ReportKind
from app.dicom.reports import build_reports
from tests.builders.dicom import make_dataset, make_ramp, write_dataset
from tests.builders.reports import OBLIQUE, build_slices, make_order

CANARY = "Canary^Person"


@pytest.fixture
def deidentifier(database, clock):
    """One whose crosswalk is empty."""
    return Deidentifier(Crosswalk(database, clock))


def build_named(study="1.2.826.1", **attributes) -> bytes:
    """A slice whose patient is named at every depth."""
    request = Dataset()
    request.RequestedProcedureDescription = f"for {CANARY}"
    request.StudyInstanceUID = study
    source = Dataset()
    source.ReferencedSOPInstanceUID = "1.2.826.77"
    source.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset = make_dataset(
        make_ramp(), StudyInstanceUID=study, PatientName=CANARY, PatientID="CANARY-7",
        OtherPatientIDs="CANARY-8", AccessionNumber="CANARY-9", InstitutionName=CANARY,
        StudyDate="20260102", FrameOfReferenceUID="1.2.826.5", StudyDescription=f"head {CANARY}",
        RequestAttributesSequence=[request], SourceImageSequence=[source], **attributes,
    )  # fmt: skip
    block = dataset.private_block(0x0011, "CANARY", create=True)
    block.add_new(1, "LO", CANARY)
    return write_dataset(dataset)


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def test_nothing_of_the_patient_is_left(deidentifier):
    content = deidentifier.clean(build_named())

    assert b"anary" not in content
    assert b"CANARY" not in content
    assert b"20260102" not in content
    assert read(content).PatientIdentityRemoved == "YES"
    assert read(content).DeidentificationMethodCodeSequence[0].CodeValue == "113100"


def test_pixels_and_geometry_stay(deidentifier):
    content = build_slices(1, OBLIQUE)[0]

    before, after = read(content), read(deidentifier.clean(content))

    assert after.PixelData == before.PixelData
    assert after.ImageOrientationPatient == before.ImageOrientationPatient
    assert after.PixelSpacing == before.PixelSpacing


def test_the_same_person_and_study_are_the_same_again(deidentifier, database, clock):
    first = read(deidentifier.clean(build_named(InstanceNumber=1)))
    again = read(Deidentifier(Crosswalk(database, clock)).clean(build_named(InstanceNumber=2)))
    other = read(deidentifier.clean(build_named(study="1.2.826.2")))

    assert first.PatientID == again.PatientID == other.PatientID
    assert first.StudyInstanceUID == again.StudyInstanceUID != other.StudyInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID


def test_uids_are_replaced_at_every_depth_and_classes_are_not(deidentifier):
    found = read(deidentifier.clean(build_named()))

    source = found.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID.startswith("2.25.")
    assert source.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


def test_results_still_refer_to_their_sources(deidentifier):
    files = build_slices(3, OBLIQUE)
    sources = {read(deidentifier.clean(content)).SOPInstanceUID for content in files}

    found = {
        report.kind: read(deidentifier.clean(report.content, is_ours=True))
        for report in build_reports(make_order(files), frozenset(ReportKind))
    }

    frames = found[ReportKind.PARAMETRIC_MAP].PerFrameFunctionalGroupsSequence
    named = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in frames
    }
    assert named == sources
    assert len(found[ReportKind.STRUCTURED_REPORT].ContentSequence) > 3
    assert not any(b"Test^Patient" in report.PatientName.encode() for report in found.values())
