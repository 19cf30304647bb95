"""Tables of cases: what came in, what it is made of, what was found, what people said of it.

A case repeats the numbers of the finding that is shown, so that the worklist reads one table. Its
two wide indexes hold everything a filter asks for: any filter under any sort is answered inside an
index, however rare the rows are that it leaves.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import SHA256, Table

UNSCORED_RANK = -1.0e300
"""`rank_score` of a case without score: behind all others, and comparable, which NULL is not."""

VERDICT_RANKS = {"anomalous": 2.0e6, "indeterminate": 1.0e6, "typical": 0.0}
"""What the verdict adds to `rank_score`: flagged cases stand before all others, whatever scores."""
_LARGEST_SCORE = 4.0e5

_FILTERS = ("state", "verdict", "review", "modality", "site", "sender", "bundle_digest")
_UID = String(64)
_TERM = String(64).with_variant(String(64, collation="C"), "postgresql")


def rank_finding(verdict: str, score: float | None) -> float:
    """Give the place of a finding in the worklist: by verdict, then by score; higher is first."""
    value = -_LARGEST_SCORE if score is None else score
    return VERDICT_RANKS[verdict] + min(max(value, -_LARGEST_SCORE), _LARGEST_SCORE)


def _find_modality_key(context: DefaultExecutionContext) -> str:
    """Give the modality to sort by: None compares with nothing, the empty word with all."""
    modality: str | None = context.get_current_parameters().get("modality")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    return modality or ""


class UploadRow(Table):
    """Bytes as a sender handed them in: the receipt.

    `sent_sha256` is their digest where they were not kept as they were, but without their patient.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        Index("uq_uploads_sender_sha256", "sender", "sha256", unique=True),
        Index("uq_uploads_sender_idempotency_key", "sender", "idempotency_key", unique=True),
        Index("ix_uploads_sha256", "sha256"),
        Index("ix_uploads_sent_sha256", "sent_sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="RESTRICT"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    idempotency_key: Mapped[str | None] = mapped_column(String(128))
    received_at: Mapped[datetime]
    left_out: Mapped[list[Any]] = mapped_column(default=list)
    sent_sha256: Mapped[str | None] = mapped_column(SHA256)


class CaseRow(Table):
    """The stored life of one scan; `edition` counts how often it grew once it was whole.

    `owner` is the process that has it on its scoring line, or had: see `claims`.
    """

    __tablename__ = "cases"
    __table_args__ = (
        Index("ix_cases_by_time", "received_at", "id", *_FILTERS),
        Index("ix_cases_by_score", "rank_score", "id", "received_at", *_FILTERS),
        Index("ix_cases_by_modality", "modality_key", "rank_score", "id", "received_at", *_FILTERS),
        Index("ix_cases_state", "state", "received_at"),
        Index("ix_cases_series_uid", "series_uid"),
        Index("ix_cases_study_uid", "study_uid"),
        Index("ix_cases_patient_id", "patient_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    sender: Mapped[str] = mapped_column(String(64))
    sender_name: Mapped[str] = mapped_column(String(128))
    channel: Mapped[str] = mapped_column(String(16))
    attempt_count: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(16))
    edition: Mapped[int] = mapped_column(default=0)
    failure_code: Mapped[str | None] = mapped_column(String(64))

    site: Mapped[str | None] = mapped_column(String(64))
    modality: Mapped[str | None] = mapped_column(String(16))
    modality_key: Mapped[str] = mapped_column(String(16), default=_find_modality_key)
    body_part: Mapped[str | None] = mapped_column(String(64))
    device: Mapped[str | None] = mapped_column(String(128))
    slice_count: Mapped[int | None]

    patient_id: Mapped[str | None] = mapped_column(String(128))
    patient_name: Mapped[str | None] = mapped_column(String(256))
    accession: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(256))
    study_uid: Mapped[str | None] = mapped_column(_UID)
    series_uid: Mapped[str | None] = mapped_column(_UID)
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)

    verdict: Mapped[str | None] = mapped_column(String(16))
    score: Mapped[float | None]
    rank_score: Mapped[float] = mapped_column(default=UNSCORED_RANK)
    p_value: Mapped[float | None]
    bundle_digest: Mapped[str | None] = mapped_column(SHA256)
    scored_at: Mapped[datetime | None]
    review: Mapped[str] = mapped_column(String(16))
    reviewed_at: Mapped[datetime | None]


class InstanceRow(Table):
    """One file of a case, in the order of its slices; `index_code` says why DICOM has it not."""

    __tablename__ = "instances"
    __table_args__ = (
        Index("uq_instances_case_id_position", "case_id", "position", unique=True),
        Index("uq_instances_case_id_sha256", "case_id", "sha256", unique=True),
        Index("ix_instances_sop_uid", "sop_uid"),
        Index("ix_instances_sha256", "sha256"),
        Index("ix_instances_upload_id", "upload_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="RESTRICT"))
    position: Mapped[int]
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="RESTRICT"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sop_class_uid: Mapped[str | None] = mapped_column(_UID)
    sop_uid: Mapped[str | None] = mapped_column(_UID)
    label: Mapped[str | None] = mapped_column(String(255))
    index_code: Mapped[str | None] = mapped_column(String(64))


class FindingRow(Table):
    """What one bundle said of an edition of a case; it says it once, and it is kept.

    `supersedes_id` is the finding that the case showed before this one; `likeness` a coarse picture
    of what the network redrew (`app/cases/references.py`).
    """

    __tablename__ = "findings"
    __table_args__ = (
        Index("uq_findings_of_case", "case_id", "bundle_digest", "edition", unique=True),
        Index("ix_findings_bundle_digest_made_at", "bundle_digest", "made_at"),
        Index("ix_findings_error_map_sha256", "error_map_sha256"),
        Index("ix_findings_reconstruction_sha256", "reconstruction_sha256"),
        Index("ix_findings_job_id", "job_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    bundle_digest: Mapped[str] = mapped_column(SHA256)
    edition: Mapped[int] = mapped_column(default=0)
    supersedes_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    made_at: Mapped[datetime]
    verdict: Mapped[str] = mapped_column(String(16))
    score: Mapped[float | None]
    p_value: Mapped[float | None]
    threshold: Mapped[float | None]
    reason: Mapped[str] = mapped_column(String(256))
    domain_distance: Mapped[float | None]
    duration_s: Mapped[float | None]
    head_scores: Mapped[dict[str, Any]]
    slice_scores: Mapped[list[Any]]
    instance_verdicts: Mapped[list[Any]]
    regions: Mapped[list[Any]]
    error_map_sha256: Mapped[str | None] = mapped_column(
        ForeignKey("blobs.sha256", ondelete="RESTRICT")
    )
    reconstruction_sha256: Mapped[str | None] = mapped_column(
        ForeignKey("blobs.sha256", ondelete="RESTRICT")
    )
    likeness: Mapped[bytes | None] = mapped_column(LargeBinary)


class ReviewRow(Table):
    """What a person said of a finding; undone reviews are kept."""

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_case_id_made_at", "case_id", "made_at"),
        Index("ix_reviews_finding_id", "finding_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    finding_id: Mapped[UUID] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"))
    decision: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    reviewer: Mapped[str] = mapped_column(String(64))
    reviewer_name: Mapped[str] = mapped_column(String(128))
    made_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None] = mapped_column(String(64))


class CaseTermRow(Table):
    """A word by which a case is found: of name, id, accession or description, folded."""

    __tablename__ = "case_terms"
    __table_args__ = (Index("ix_case_terms_case_id_term", "case_id", "term"),)

    term: Mapped[str] = mapped_column(_TERM, primary_key=True)
    case_id: Mapped[UUID] = mapped_column(
        ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True
    )
