"""What is handed to the cases: uploads, cases, files, findings, reviews to be kept."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.cases.states import CaseState, Channel, ReviewState


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of an upload that is part of no case; `code` says why."""

    label: str
    sha256: str | None
    code: str


@dataclass(frozen=True, slots=True)
class NewUpload:
    """Bytes that a sender handed in; they are in the blob store.

    `sent_sha256` is the digest of what came, where something else is kept in its place.
    """

    sender: str
    sha256: str
    size_bytes: int
    idempotency_key: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    sent_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What is known of a case from its files or its sender."""

    site: str | None = None
    modality: str | None = None
    body_part: str | None = None
    device: str | None = None
    patient_id: str | None = None
    patient_name: str | None = None
    accession: str | None = None
    description: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to be opened; `owner` is the process that puts it on its scoring line itself."""

    sender: str
    sender_name: str
    channel: Channel
    facts: CaseFacts
    state: CaseState = CaseState.QUEUED
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class NewInstance:
    """A file of a case; its bytes are in the blob store."""

    upload_id: UUID
    sha256: str
    size_bytes: int
    sop_class_uid: str | None = None
    sop_uid: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class NewFinding:
    """What a bundle said of a case; maps are in the blob store.

    `edition` is that of the case when its files were read; None is the present one.
    """

    bundle_digest: str
    verdict: str
    score: float | None
    p_value: float | None
    threshold: float | None
    reason: str
    error_map_sha256: str | None
    reconstruction_sha256: str | None
    slice_count: int | None = None
    domain_distance: float | None = None
    duration_s: float | None = None
    head_scores: dict[str, Any] = field(default_factory=dict)
    slice_scores: list[Any] = field(default_factory=list)
    instance_verdicts: list[Any] = field(default_factory=list)
    regions: list[Any] = field(default_factory=list)
    job_id: UUID | None = None
    edition: int | None = None
    likeness: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewReview:
    """What a person says of the finding that is shown."""

    decision: ReviewState
    note: str
    reviewer: str
    reviewer_name: str
