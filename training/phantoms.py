"""The embedded demonstration cohort: made-up heads as DICOM, lesions in the test split alone.

Everything here is synthetic and says so: in the DICOM descriptions, in the folder's README, and in
the patient numbers `DEMO-0001`, which belong to nobody.
"""

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from models.specs import Spec
from training.cohort_table import CSV_NAME, HEALTHY, TEST, TRAIN
from training.phantom_head import (
    CENTER_MM,
    HeadTemplate,
    HeadVariationSpec,
    add_noise,
    draw_head,
    make_grid,
    read_template,
    show_slice,
)
from training.phantom_lesion import Lesion, LesionSpec, add_lesion, draw_lesion, push_places

LESION = "lesion"
README_NAME = "README.txt"

_COLUMNS = ("path", "split", "label", "patient", "mask", "series", "position", "kind", "radius_mm")
_NOTICE = (
    "SYNTHETIC demonstration images. They were computed from the MNI152 brain template that "
    "nilearn ships; no person was scanned for them, and nothing in them may guide a diagnosis."
)
_FULL_SCALE = 2400.0
_BRAIN_LOW_MM, _BRAIN_HIGH_MM = -60.0, 78.0


class DemoSpec(Spec):
    """Size and variety of the demonstration cohort.

    304 training patients leave 45 or more for calibration at a share of 0.15, as a promise of 5 %
    with 90 % confidence needs.
    """

    train_patients: int = Field(default=304, ge=1)
    healthy_patients: int = Field(default=40, ge=0)
    lesion_patients: int = Field(default=40, ge=0)
    slice_heights_mm: tuple[float, ...] = (0.0, 15.0, 30.0)
    side_px: int = Field(default=128, ge=32, le=512)
    pixel_mm: float = Field(default=1.75, gt=0.0)
    head: HeadVariationSpec = HeadVariationSpec()
    lesion: LesionSpec = LesionSpec()


@dataclass(frozen=True, slots=True)
class _Case:
    """Number, split and kind of one made-up patient."""

    number: int
    split: str
    has_lesion: bool

    @property
    def patient(self) -> str:
        return f"DEMO-{self.number:04d}"


@dataclass(frozen=True, slots=True)
class _Slice:
    """One drawn slice.

    `stored`: uint16 [H, W], 0..4095. `mask`: bool [H, W]; True inside the lesion.
    """

    stored: NDArray[np.uint16]
    mask: NDArray[np.bool_]


def write_demo_cohort(folder: Path, seed: int, progress: Callable[[int, int], None]) -> Path:
    """Write the demonstration cohort; see `write_phantoms`."""
    return write_phantoms(folder, DemoSpec(), seed, progress)


def write_phantoms(
    folder: Path, spec: DemoSpec, seed: int, progress: Callable[[int, int], None]
) -> Path:
    """Write a cohort of made-up heads, aside and then renamed; equal specs and seeds, equal files.

    Args:
        folder: where it is to be; must not exist yet.
        spec: how large and how varied it is.
        seed: decides every head and lesion.
        progress: called with the number of patients done and of all patients.

    Returns:
        The folder, a cohort that `read_cohort` reads.

    Raises:
        TrainingError: the template is not installed.
    """
    template = read_template()
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    cases = list(_list_cases(spec))
    with (partial / CSV_NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, _COLUMNS)
        table.writeheader()
        for done, case in enumerate(cases, start=1):
            generator = np.random.default_rng((seed, case.number))
            table.writerows(_write_case(partial, template, case, spec, generator))
            progress(done, len(cases))
    (partial / README_NAME).write_text(_NOTICE + "\n", encoding="utf-8")
    partial.replace(folder)
    return folder


def _list_cases(spec: DemoSpec) -> Iterator[_Case]:
    test = spec.train_patients + spec.healthy_patients
    for number in range(1, test + spec.lesion_patients + 1):
        split = TRAIN if number <= spec.train_patients else TEST
        yield _Case(number, split, has_lesion=number > test)


def _write_case(
    root: Path,
    template: HeadTemplate,
    case: _Case,
    spec: DemoSpec,
    generator: np.random.Generator,
) -> Iterator[dict[str, str]]:
    """Write the slices of one patient, and give their rows."""
    slices, lesion = _draw_case(template, spec, generator, has_lesion=case.has_lesion)
    for index, (height_mm, drawn) in enumerate(zip(spec.slice_heights_mm, slices, strict=True)):
        name = f"{case.patient}_{index + 1:02d}"
        scan = Path(case.split) / f"{name}.dcm"
        _write_dicom(root / scan, _describe_slice(case, index, height_mm, spec), drawn.stored)
        mask = Path("masks") / f"{name}.png"
        is_hit = bool(drawn.mask.any())
        if is_hit:
            (root / mask).parent.mkdir(exist_ok=True)
            Image.fromarray(drawn.mask.astype(np.uint8) * 255).save(root / mask)
        yield {
            "path": scan.as_posix(),
            "split": case.split,
            "label": LESION if is_hit else HEALTHY,
            "patient": case.patient,
            "mask": mask.as_posix() if is_hit else "",
            "series": case.patient,
            "position": f"{_compute_position(height_mm):.3f}",
            "kind": lesion.kind if lesion and is_hit else "",
            "radius_mm": f"{lesion.radius_mm:.1f}" if lesion and is_hit else "",
        }


def _draw_case(
    template: HeadTemplate, spec: DemoSpec, generator: np.random.Generator, *, has_lesion: bool
) -> tuple[list[_Slice], Lesion | None]:
    head = draw_head(generator, spec.head)
    grids = [make_grid(spec.side_px, spec.pixel_mm, height) for height in spec.slice_heights_mm]
    lesion = None
    if has_lesion:
        middle = grids[int(generator.integers(len(grids)))]
        brain = show_slice(template, head, middle, middle)[1]
        lesion = draw_lesion(middle, brain, generator, spec.lesion)
    slices = []
    for places in grids:
        origins = push_places(places, lesion) if lesion else places
        picture, brain = show_slice(template, head, places, origins)
        mask = np.zeros(picture.shape, dtype=np.bool_)
        if lesion:
            picture, mask = add_lesion(picture, brain, places, lesion, generator)
        seen = add_noise(picture, head, generator)
        stored = np.clip(np.rint(seen * _FULL_SCALE), 0, 4095).astype(np.uint16)
        slices.append(_Slice(stored, mask))
    return slices, lesion


def _compute_position(height_mm: float) -> float:
    """Compute the relative place of a slice in the brain, 0 at its foot."""
    return (height_mm - _BRAIN_LOW_MM) / (_BRAIN_HIGH_MM - _BRAIN_LOW_MM)


def _describe_slice(case: _Case, index: int, height_mm: float, spec: DemoSpec) -> Dataset:
    """Describe a slice as an MR image that says it is synthetic."""
    corner_mm = (spec.side_px - 1) / 2 * spec.pixel_mm
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["aegle demo", case.patient, str(index)])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["aegle demo study", case.patient])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["aegle demo series", case.patient])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["aegle demo frame", case.patient])
    dataset.Modality = "MR"
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.PatientID = case.patient
    dataset.PatientName = ""
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.StudyTime = dataset.StudyID = ""
    dataset.AccessionNumber = dataset.ReferringPhysicianName = dataset.Manufacturer = ""
    dataset.StudyDescription = "SYNTHETIC demonstration"
    dataset.SeriesDescription = "SYNTHETIC T1 head, not a patient"
    dataset.ImageComments = _NOTICE
    dataset.BodyPartExamined = "BRAIN"
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    dataset.ScanOptions, dataset.MRAcquisitionType = "", "3D"
    dataset.EchoTime = dataset.EchoTrainLength = None
    dataset.SeriesNumber, dataset.InstanceNumber = 1, index + 1
    dataset.PositionReferenceIndicator = ""
    # DICOM counts x to the left and y to the back; the template to the right and the front.
    dataset.ImagePositionPatient = [
        -CENTER_MM[0] - corner_mm,
        -CENTER_MM[1] - corner_mm,
        height_mm,
    ]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [spec.pixel_mm, spec.pixel_mm]
    dataset.SliceThickness = 1.0
    return dataset


def _write_dicom(path: Path, dataset: Dataset, stored: NDArray[np.uint16]) -> None:
    """Add the pixels, uint16 [H, W], 0..4095, and write the file."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
