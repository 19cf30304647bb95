"""What the case routes take and give."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.cases.states import CaseState, Channel, ReviewState
from app.cases.tables import CaseRow, FindingRow, InstanceRow
from app.cases.worklist import CaseFilter

VerdictWord = Literal["typical", "anomalous", "indeterminate"]
Decision = Literal["confirmed", "dismissed", "unsure"]
Note = Annotated[str, StringConstraints(max_length=4000)]
Word = Annotated[str, Field(min_length=1, max_length=128)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_ID = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _add_zone(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Instant = Annotated[datetime, AfterValidator(_add_zone)]


class PlainSelection(BaseModel):
    """Which cases, by filters that may stand in an address: none of them is patient data."""

    model_config = ConfigDict(extra="forbid")

    status: CaseState | None = Field(default=None, examples=["scored"])
    verdict: VerdictWord | None = Field(default=None, examples=["anomalous"])
    review: ReviewState | None = Field(default=None, examples=["none"])
    bundle: Digest | None = None
    modality: Word | None = Field(default=None, examples=["MR"])
    site: Word | None = None
    sender: Word | None = Field(default=None, description="Id of a key or user.")
    received_from: Instant | None = None
    received_before: Instant | None = None

    def build_filter(self) -> CaseFilter:
        """Give the filter of the worklist's queries."""
        return CaseFilter(
            state=self.status,
            verdict=self.verdict,
            review=self.review,
            bundle_digest=self.bundle,
            modality=self.modality,
            site=self.site,
            sender=self.sender,
            received_from=self.received_from,
            received_before=self.received_before,
        )


class CaseSelection(PlainSelection):
    """Which cases: the filters of a search and of jobs; always in a body, never in an address."""

    text: Word | None = Field(
        default=None,
        description="Beginnings of words of name, id, accession or description.",
        examples=["mull"],
    )

    def build_filter(self) -> CaseFilter:
        """Give the filter of the worklist's queries."""
        return replace(super().build_filter(), text=self.text)


class Shown(BaseModel):
    """Something that is read from a row."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, row: object) -> Self:
        """Show a row."""
        return cls.model_validate(row)


class RegionView(BaseModel):
    """A connected place above the pixel threshold, in original pixels."""

    slice_index: int = Field(examples=[0])
    box: tuple[int, int, int, int] = Field(
        description="First row, first column, last row + 1, last column + 1.",
        examples=[[12, 30, 40, 61]],
    )
    area_px: int = Field(examples=[512])
    area_mm2: float | None = Field(examples=[128.0])
    peak: tuple[int, int] = Field(description="Row, column.", examples=[[25, 47]])
    peak_value: float = Field(description="Multiples of the pixel threshold.", examples=[3.2])


class FindingView(Shown):
    """What one bundle says of a case."""

    id: UUID = Field(examples=[_ID])
    bundle_digest: str = Field(examples=[_DIGEST])
    made_at: datetime
    verdict: VerdictWord = Field(examples=["anomalous"])
    score: float | None = Field(description="Higher is stranger.", examples=[3.41])
    p_value: float | None = Field(
        description="Share of healthy scans at least this strange.", examples=[0.004]
    )
    threshold: float | None = Field(examples=[2.6])
    reason: str = Field(description="Why it is indeterminate; else empty.", examples=[""])
    head_scores: dict[str, list[float]] = Field(examples=[{"focal": [3.41]}])
    slice_scores: list[float] = Field(examples=[[3.41]])
    regions: list[RegionView] = Field(description="The strangest first.")


class CaseView(Shown):
    """One line of the worklist; patient data is given to those who may read cases."""

    id: UUID = Field(examples=[_ID])
    state: CaseState = Field(examples=["scored"])
    failure_code: str | None = Field(description="Why it was set aside.", examples=[None])
    received_at: datetime
    changed_at: datetime
    sender_name: str = Field(examples=["CT scanner 2"])
    channel: Channel
    site: str | None = Field(examples=["North clinic"])
    modality: str | None = Field(examples=["MR"])
    body_part: str | None = Field(examples=["HEAD"])
    device: str | None
    slice_count: int | None = Field(examples=[1])
    patient_id: str | None
    patient_name: str | None
    accession: str | None
    description: str | None
    tags: dict[str, str] = Field(examples=[{"protocol": "t1"}])
    verdict: VerdictWord | None = Field(examples=["anomalous"])
    score: float | None = Field(examples=[3.41])
    p_value: float | None = Field(examples=[0.004])
    bundle_digest: str | None = Field(examples=[_DIGEST])
    scored_at: datetime | None
    review: ReviewState
    reviewed_at: datetime | None


class FileView(Shown):
    """One file of a case, and where it is in the scan that the shown finding is of."""

    position: int = Field(examples=[0])
    sha256: str = Field(examples=[_DIGEST])
    size_bytes: int = Field(examples=[50176])
    label: str | None = Field(description="Name inside of an archive.", examples=["slice01.dcm"])
    slice_index: int | None = Field(
        default=None,
        description="Its first slice, counted from 0; null until scored.",
        examples=[0],
    )
    slice_count: int | None = Field(default=None, description="Its slices.", examples=[1])
    slice_score: float | None = Field(
        default=None, description="Of its strangest slice.", examples=[3.41]
    )
    index_code: str | None = Field(
        default=None,
        description="Why a DICOM file is not listed by DICOMweb, and has no DICOM results.",
        examples=[None],
    )
    failure_code: str | None = Field(
        default=None, description="Why it gave no slice; else null.", examples=[None]
    )


class CaseDetail(CaseView):
    """A case with its files and the finding that is shown."""

    files: list[FileView]
    finding: FindingView | None

    @classmethod
    def build(cls, case: CaseRow, files: Sequence[InstanceRow], finding: FindingRow | None) -> Self:
        """Put a case together."""
        return cls(
            **CaseView.of(case).model_dump(),
            files=_list_files(files, finding),
            finding=None if finding is None else FindingView.of(finding),
        )


def _list_files(files: Sequence[InstanceRow], finding: FindingRow | None) -> list[FileView]:
    said = {each["position"]: each for each in finding.instance_verdicts} if finding else {}
    return [FileView.of(row).model_copy(update=said.get(row.position)) for row in files]


class CaseList(BaseModel):
    """A page of the worklist."""

    items: list[CaseView]
    next_cursor: str | None = Field(
        description="To ask for the next page by; null on the last.", examples=[None]
    )


class ReferenceView(BaseModel):
    """A typical case that a reader confirmed, to compare with."""

    case: UUID = Field(examples=[_ID])
    distance: float = Field(
        description="Of coarse pictures of what the bundle redrew, 0 to 1.", examples=[0.04]
    )
    score: float | None = Field(examples=[0.3])
    received_at: datetime
    slice_count: int | None = Field(examples=[1])


class ReferenceList(BaseModel):
    """The nearest references of a case, the nearest first."""

    items: list[ReferenceView]


class NewReviewBody(BaseModel):
    """What a person says of the finding that is shown."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision = Field(examples=["confirmed"])
    note: Note = Field(default="", examples=["Known meningioma."])


class ReviewView(Shown):
    """What somebody said of a finding."""

    id: UUID = Field(examples=[_ID])
    finding_id: UUID = Field(examples=[_ID])
    decision: Decision = Field(examples=["confirmed"])
    note: str
    reviewer: str = Field(examples=["user:0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"])
    reviewer_name: str
    made_at: datetime
    undone_at: datetime | None
    undone_by: str | None


class AuditView(Shown):
    """One entry of the audit trail."""

    sequence: int
    at: datetime
    actor: str
    action: str = Field(examples=["case_viewed"])
    detail: dict[str, Any]


class History(Shown):
    """All that was ever said of a case, oldest first."""

    findings: list[FindingView]
    reviews: list[ReviewView]
    audit: list[AuditView]
