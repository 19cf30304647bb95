"""What a bundle says of itself: the spec of every stage, its domain, its origin, its digests."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from models.calibration import Calibration
from models.domain import Domain
from models.specs import PipelineSpec, Spec
from models.verdict import VerdictLabel

Digest = str


class Folds(Spec):
    """How the healthy training patients were divided; the same seed divides them again.

    The shares are those of the fit, validation, fusion and calibration folds.
    """

    seed: int
    fit: float
    validation: float
    fusion: float
    calibration: float


class Origin(Spec):
    """Where the bundle comes from: enough to train it again."""

    recipe: str
    recipe_digest: Digest
    cohort_digest: Digest
    seed: int
    folds: Folds
    counts: dict[str, int]
    versions: dict[str, str]
    training: dict[str, float | int | str]


class Manifest(Spec):
    """The contract on disk; unknown keys are refused.

    `pixel_threshold` is in the unit of the region map: the value that the recipe's share of healthy
    pixels stay under. `files` maps each other file of the bundle to its SHA-256.
    """

    format_version: Literal[2] = 2
    name: str = Field(min_length=1, max_length=100)
    created_at: datetime
    is_synthetic: bool
    pipeline: PipelineSpec
    pixel_threshold: float = Field(gt=0.0)
    domain: Domain
    origin: Origin
    files: dict[str, Digest] = Field(default_factory=dict)


class Calibrations(Spec):
    """The calibration of single slices and that of volumes, where the cohort allowed one."""

    slice: Calibration | None
    volume: Calibration | None

    def choose(self, slice_count: int) -> Calibration | None:
        """Give the calibration for scans with so many slices; None where there is none."""
        return self.slice if slice_count == 1 else self.volume


class CheckScan(Spec):
    """A made-up scan and what the bundle must say of it.

    `pixels`: base64 of zlib of uint8 [H, W], 0..255, `rows` x `columns`; `black` and `white` are
    the real values of 0 and 255.
    """

    name: str
    modality: str | None
    rows: int = Field(ge=1, le=512)
    columns: int = Field(ge=1, le=512)
    black: float
    white: float
    pixels: str
    score: float
    verdict: VerdictLabel


class Check(Spec):
    """The made-up scans that a bundle must score as it did when it was published."""

    scans: tuple[CheckScan, ...] = Field(min_length=1)
