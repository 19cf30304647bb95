"""A finding's overlay, or any picture, as a DICOM Secondary Capture, which every viewer shows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from app.dicom.report_facts import WARNING, ReportedFinding, ReportKind, ReportOrder
from app.dicom.report_objects import finish_report, name_report
from app.dicom.report_sources import UTF8, copy_patient, format_number, refer_to
from models.overlay import choose_window, draw_overlay, draw_pixels

# Small scans are drawn larger, so that the words can be read.
_LEAST_SIDE_PX = 512
_MAX_PICTURES = 16
_OPACITY = 0.7
_TEXT_SHARE = 0.034
_INK = (255, 255, 255)
_WARNING_INK = (255, 210, 64)
_BAND = (24, 24, 24)


def build_secondary_captures(
    order: ReportOrder, error_map: NDArray[np.float32] | None
) -> Iterator[Dataset]:
    """Give a picture of each slice that has regions, the strangest first, and of one at least.

    Args:
        order: the finding and its scan.
        error_map: float32 [S, H, W], >= 0, multiples of the pixel threshold; None draws the scan
            alone.
    """
    for number, index in enumerate(choose_slices(order), start=1):
        picture = draw_slice(order, error_map, index)
        yield _build_capture(order, picture, index, number)


def choose_slices(order: ReportOrder) -> list[int]:
    """Give the slices that are drawn: those of regions, strangest first, or the strangest."""
    finding = order.finding
    regions = dict.fromkeys(int(region["slice_index"]) for region in finding.regions)
    if regions:
        return list(regions)[:_MAX_PICTURES]
    if finding.slice_scores:
        return [int(np.argmax(finding.slice_scores))]
    return [order.scan.slice_count // 2]


def draw_slice(
    order: ReportOrder, error_map: NDArray[np.float32] | None, index: int
) -> NDArray[np.uint8]:
    """Draw a slice with its overlay, and above it a band with the words: uint8 [H, W, 3]."""
    pixels = np.nan_to_num(order.scan.pixels[index]).astype(np.float32)
    window = choose_window(order.scan)
    if error_map is None:
        picture = draw_pixels(pixels, window)
    else:
        picture = draw_overlay(pixels, error_map[index], window, _OPACITY, has_outline=True)
    scale = find_scale(picture.shape)
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    return np.concatenate([_draw_band(order, index, picture.shape[1]), picture])


def find_scale(shape: tuple[int, ...]) -> int:
    """Give how many times larger a picture is drawn."""
    return max(1, -(-_LEAST_SIDE_PX // max(shape[1], 1)))


def _draw_band(order: ReportOrder, index: int, width_px: int) -> NDArray[np.uint8]:
    lines = [WARNING, *_tell(order.finding, index, order.scan.slice_count)]
    size_px = max(14, round(width_px * _TEXT_SHARE))
    font = ImageFont.load_default(size=size_px)
    step_px = round(size_px * 1.35)
    band = Image.new("RGB", (width_px, step_px * len(lines) + size_px), _BAND)
    pen = ImageDraw.Draw(band)
    for number, line in enumerate(lines):
        ink = _WARNING_INK if number == 0 else _INK
        place = (size_px // 2, size_px // 2 + number * step_px)
        pen.text(place, _fit(line, font, width_px - size_px), font=font, fill=ink)
    return np.asarray(band, dtype=np.uint8)


def _fit(line: str, font: Any, width_px: int) -> str:  # noqa: ANN401 - either font of Pillow
    """Shorten a line until it fits."""
    if font.getlength(line) <= width_px:
        return line
    while line and font.getlength(f"{line}...") > width_px:
        line = line[:-1]
    return f"{line}..."


def _tell(finding: ReportedFinding, index: int, slice_count: int) -> list[str]:
    numbers = [finding.verdict.upper()]
    if finding.score is not None and finding.threshold is not None:
        numbers.append(f"score {finding.score:.2f}, threshold {finding.threshold:.2f}")
    if finding.p_value is not None:
        numbers.append(f"p {finding.p_value:.3g}")
    lines = ["   ".join(numbers), finding.reason] if finding.reason else ["   ".join(numbers)]
    place = f"slice {index + 1} of {slice_count}   " if slice_count > 1 else ""
    lines.append(f"{place}{finding.bundle_name}   {finding.bundle_digest[:12]}")
    if finding.earlier is not None:
        lines.append("Supersedes an earlier finding of this scan.")
    return lines


def _build_capture(
    order: ReportOrder, picture: NDArray[np.uint8], index: int, number: int
) -> Dataset:
    """Give a picture as a file: uint8 [H, W, 3], 0..255."""
    header = order.headers[order.scan.sources[index].file]
    spacing = order.scan.spacing_mm
    scale = find_scale(order.scan.pixels.shape[1:])
    dataset = wrap_picture(
        picture,
        copy_patient(header),
        name_report(order.finding, ReportKind.SECONDARY_CAPTURE, number),
        None if spacing is None else (spacing[0] / scale, spacing[1] / scale),
    )
    dataset.SourceImageSequence = [refer_to(order, index)]
    return finish_report(dataset, order)


def wrap_picture(
    picture: NDArray[np.uint8] | NDArray[np.uint16],
    patient: Dataset,
    names: dict[str, Any],
    spacing_mm: tuple[float, float] | None,
) -> Dataset:
    """Give a picture as a Secondary Capture.

    Args:
        picture: uint8 [H, W, 3], red, green, blue, or uint8 or uint16 [H, W], higher is brighter.
        patient: patient and study.
        names: by which highdicom names an instance.
        spacing_mm: of rows, of columns, where it is known.
    """
    is_color = picture.ndim == 3
    dataset = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB" if is_color else "MONOCHROME2",
        bits_allocated=8 * picture.itemsize,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=str(patient.StudyInstanceUID),
        patient_id=patient.PatientID,
        patient_name=patient.PatientName,
        patient_birth_date=patient.PatientBirthDate or None,
        patient_sex=patient.PatientSex or None,
        accession_number=patient.AccessionNumber,
        study_id=patient.StudyID,
        study_date=patient.StudyDate or None,
        study_time=patient.StudyTime or None,
        referring_physician_name=patient.ReferringPhysicianName,
        specific_character_set=UTF8,
        **names,
    )
    dataset.update({element.tag: element for element in patient if element.tag not in dataset})
    dataset["PatientOrientation"].value = None  # unknown, which highdicom will not take
    dataset.Laterality = ""
    dataset.BurnedInAnnotation = "NO"
    if spacing_mm is not None:
        dataset.NominalScannedPixelSpacing = [format_number(value) for value in spacing_mm]
    return dataset
