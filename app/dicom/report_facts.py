"""What DICOM reports are made from: a finding, the scan it is about, and the files of that scan."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.decoding.scan import DecodedScan

MAKER = "Aegle"
WARNING = "NOT FOR DIAGNOSTIC USE"


class ReportKind(StrEnum):
    """One kind of DICOM object that tells of a finding."""

    PARAMETRIC_MAP = "parametric_map"
    """The error map, as float32."""
    SEGMENTATION = "segmentation"
    """The regions above the pixel threshold."""
    STRUCTURED_REPORT = "structured_report"
    """Verdict, score, threshold, p-value and regions, coded."""
    SECONDARY_CAPTURE = "secondary_capture"
    """The overlay as a picture, which every viewer shows."""


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """A finding as it is told outside; `regions` have the form in which findings keep them.

    `earlier` is the finding that this one supersedes, None where it is the first of its scan.
    """

    id: UUID
    made_at: datetime
    bundle_name: str
    bundle_digest: str
    verdict: str
    score: float | None
    p_value: float | None
    threshold: float | None
    reason: str
    slice_scores: tuple[float, ...]
    regions: tuple[dict[str, Any], ...]
    earlier: UUID | None
    software: str


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """Everything reports are made from.

    `error_map`: float32 [S, H, W], >= 0, multiples of the pixel threshold; None where the scan
    could not be looked at. `headers` are the data sets of the files, without pixels, in the order
    in which the decoder was given them: `scan.sources` counts in it.
    """

    finding: ReportedFinding
    scan: DecodedScan
    error_map: NDArray[np.float32] | None
    headers: tuple[Dataset, ...]


def derive_uid(finding_id: UUID, *parts: str | int) -> str:
    """Give the UID of something made from a finding: the same each time it is made again."""
    text = "/".join(str(part) for part in ("aegle", finding_id, *parts))
    digest = hashlib.sha256(text.encode()).digest()
    return f"2.25.{UUID(bytes=digest[:16], version=5).int}"
