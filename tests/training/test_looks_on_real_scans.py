"""How many foreign scans are refused for their looks, and how many of the cohort's own.

Shows its table with `-s`. The network plays no part, so none is trained.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.appearance import Appearance
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.domain import AppearanceDomain
from models.errors import DecodeError, UnscorableScan
from models.normalize import normalize_scan
from models.pipeline import describe_look
from tests.builders.foreign import (
    CHANGED,
    make_noise,
    make_patterns,
    make_photographs,
    make_text,
)
from tests.builders.scans import make_scan
from training.cohort import Cohort, CohortScan, read_cohort
from training.dataset import decode_cohort_scan
from training.looks import learn_appearance, learn_limits
from training.recipe import read_recipe
from training.train import split_cohort

COHORTS = ("chest_xray", "brain_flair")
RECIPE = read_recipe("default")
CHANGED_SCANS = 60
# Files of a test set whose pictures are of the cohort's own kind, or near it, prove nothing.
NEAR = {"chest_xray": {"CR", "DX"}, "brain_flair": {"MR"}}

pytestmark = [pytest.mark.slow, pytest.mark.real_data, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def folder() -> Path:
    found = os.environ.get("AEGLE_REAL_DATA")
    if not found:
        pytest.skip("AEGLE_REAL_DATA is not set")
    return Path(found)


class Slices:
    """Normalized slices in memory."""

    def __init__(self, images: list[torch.Tensor]) -> None:
        self._images = torch.cat(images)

    def __len__(self) -> int:
        return len(self._images)

    def read_batch(self, indices, /):
        image = self._images[list(indices)]
        return image, image > 0


class Judge:
    """Judges scans by their looks, as a bundle trained on the cohort would."""

    def __init__(self, cohort: Cohort) -> None:
        folds = split_cohort(cohort, RECIPE, 0)
        appearance = learn_appearance(Slices([normalize(read(scan)) for scan in folds.fit]))
        assert appearance is not None
        looks = [describe_look(appearance, normalize(read(scan))) for scan in folds.calibration]
        patients = {scan.patient for scan in folds.calibration}
        self.appearance: Appearance = appearance
        self.limits: AppearanceDomain = learn_limits(looks, len(patients))

    def count_refused(self, scans: Iterable[DecodedScan]) -> tuple[int, int]:
        """Count the slices that are refused, each alone, and all."""
        refused = total = 0
        for scan in scans:
            try:
                image = normalize(scan)
            except UnscorableScan:
                continue
            for each in image.split(1):
                look = describe_look(self.appearance, each)
                refused += self.limits.find_objection(look) is not None
                total += 1
        return refused, total


def read(scan: CohortScan) -> DecodedScan:
    return decode_cohort_scan(scan, DecodeLimits())


def normalize(scan: DecodedScan) -> torch.Tensor:
    return normalize_scan(scan, RECIPE.pipeline.normalize).image


def read_assorted(folder: Path, left_out: set[str]) -> Iterable[DecodedScan]:
    for path in sorted((folder / "dicom" / "assorted").iterdir()):
        try:
            scan = decode_scan(path.read_bytes(), DecodeLimits())
        except DecodeError:
            continue
        if scan.modality not in left_out:
            yield make_scan(scan.pixels[0])


def gather_foreign(folder: Path, name: str) -> dict[str, Iterable[DecodedScan]]:
    generator = np.random.default_rng(0)
    healthy = [
        picture
        for scan in read_cohort(folder / name).scans("test")
        for picture, row in zip(read(scan).pixels, scan.rows, strict=True)
        if row.is_healthy
    ]
    chosen = [healthy[index] for index in generator.permutation(len(healthy))[:CHANGED_SCANS]]
    other = read_cohort(folder / next(each for each in COHORTS if each != name))
    drawn = {
        "photographs": make_photographs(50, generator),
        "text": make_text(50, generator),
        "noise": make_noise(50, generator),
        "patterns": make_patterns(),
    }
    changed = {
        change: [make_scan(apply(picture, generator)) for picture in chosen]
        for change, apply in CHANGED.items()
    }
    return {
        **changed,
        **{kind: [make_scan(picture) for picture in pictures] for kind, pictures in drawn.items()},
        "the other cohort": (read(scan) for scan in other.scans("test")),
        "assorted DICOM": read_assorted(folder, NEAR[name]),
    }


def gather_own(folder: Path, name: str) -> dict[str, list[DecodedScan]]:
    own: dict[str, list[DecodedScan]] = {"healthy": [], "abnormal": []}
    for scan in read_cohort(folder / name).scans("test"):
        whole = read(scan).pixels
        for picture, row in zip(whole, scan.rows, strict=True):
            own["healthy" if row.is_healthy else "abnormal"].append(make_scan(picture))
    return own


@pytest.mark.parametrize("name", COHORTS)
def test_foreign_scans_are_refused_and_own_ones_are_not(folder, name, capsys):
    judge = Judge(read_cohort(folder / name))

    foreign = {kind: judge.count_refused(s) for kind, s in gather_foreign(folder, name).items()}
    own = {kind: judge.count_refused(s) for kind, s in gather_own(folder, name).items()}

    refused, total = (sum(column) for column in zip(*foreign.values(), strict=True))
    rows = {**foreign, "FOREIGN, all": (refused, total), **own}
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: refused for their looks\n")
        for kind, (count, of) in rows.items():
            sys.stdout.write(f"  {kind:20} {count:5} of {of:5}  {count / of:.4f}\n")
    assert refused / total >= 0.99
    assert own["healthy"][0] / own["healthy"][1] <= 0.03
    assert own["abnormal"][0] / own["abnormal"][1] <= 0.05
