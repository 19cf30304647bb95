"""Tables of DICOM objects: the index that lists and metadata are answered from.

Every object that was taken in has a row, scored or not; its bytes are a blob. `attributes` is
DICOM JSON (PS3.18 F) as text, ready to be sent: of an instance the whole header without bulk data,
of a series and of a study what belongs to that level, as its first instance told it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import Table

_UID = String(64)


class DicomStudyRow(Table):
    """A study of which we hold at least one object."""

    __tablename__ = "dicom_studies"
    __table_args__ = (
        Index("ix_dicom_studies_patient_id", "patient_id"),
        Index("ix_dicom_studies_accession", "accession"),
        Index("ix_dicom_studies_study_date", "study_date", "study_uid"),
        Index("ix_dicom_studies_received_at", "received_at", "study_uid"),
    )

    study_uid: Mapped[str] = mapped_column(_UID, primary_key=True)
    patient_id: Mapped[str | None] = mapped_column(String(128))
    patient_name: Mapped[str | None] = mapped_column(String(256))
    accession: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(256))
    study_date: Mapped[str | None] = mapped_column(String(8))
    study_time: Mapped[str | None] = mapped_column(String(16))
    attributes: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]


class DicomSeriesRow(Table):
    """A series; it waits for more instances until `settle_at`, which is None while none waits.

    `case_id` is the case that was opened when the first of its scans came.
    """

    __tablename__ = "dicom_series"
    __table_args__ = (
        Index("uq_dicom_series_study_uid_series_uid", "study_uid", "series_uid", unique=True),
        Index("ix_dicom_series_series_uid", "series_uid"),
        Index("ix_dicom_series_settle_at", "settle_at"),
        Index("ix_dicom_series_case_id", "case_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    study_uid: Mapped[str] = mapped_column(
        ForeignKey("dicom_studies.study_uid", ondelete="RESTRICT")
    )
    series_uid: Mapped[str] = mapped_column(_UID)
    modality: Mapped[str | None] = mapped_column(String(16))
    body_part: Mapped[str | None] = mapped_column(String(64))
    number: Mapped[int | None]
    sender: Mapped[str] = mapped_column(String(64))
    sender_name: Mapped[str] = mapped_column(String(128))
    channel: Mapped[str] = mapped_column(String(16))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("cases.id", ondelete="SET NULL"))
    attributes: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]
    settle_at: Mapped[datetime | None]


class DicomInstanceRow(Table):
    """One DICOM object; `is_scan` says that it is to be scored, `case_id` where it went."""

    __tablename__ = "dicom_instances"
    __table_args__ = (
        Index("uq_dicom_instances_sop_uid", "sop_uid", unique=True),
        Index("ix_dicom_instances_series_id_number", "series_id", "number"),
        Index("ix_dicom_instances_study_uid", "study_uid"),
        Index("ix_dicom_instances_case_id", "case_id"),
        Index("ix_dicom_instances_sha256", "sha256"),
        Index("ix_dicom_instances_upload_id", "upload_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    series_id: Mapped[UUID] = mapped_column(ForeignKey("dicom_series.id", ondelete="RESTRICT"))
    study_uid: Mapped[str] = mapped_column(_UID)
    series_uid: Mapped[str] = mapped_column(_UID)
    sop_uid: Mapped[str] = mapped_column(_UID)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(_UID)
    number: Mapped[int | None]
    rows: Mapped[int | None]
    columns: Mapped[int | None]
    frame_count: Mapped[int]
    is_scan: Mapped[bool]
    slice_header: Mapped[dict[str, Any] | None]
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="RESTRICT"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    upload_id: Mapped[UUID | None] = mapped_column(ForeignKey("uploads.id", ondelete="SET NULL"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    attributes: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]


class ReportJobRow(Table):
    """A finding that is told as DICOM objects; `due_at` is None once that is settled."""

    __tablename__ = "dicom_reports"
    __table_args__ = (
        Index("ix_dicom_reports_due_at", "due_at"),
        Index("ix_dicom_reports_case_id", "case_id"),
    )

    finding_id: Mapped[UUID] = mapped_column(
        ForeignKey("findings.id", ondelete="CASCADE"), primary_key=True
    )
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16))
    attempt_count: Mapped[int] = mapped_column(default=0)
    failure_code: Mapped[str | None] = mapped_column(String(64))
    object_count: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class PushRow(Table):
    """One object on its way to one target; `due_at` is None once it is settled."""

    __tablename__ = "dicom_pushes"
    __table_args__ = (
        Index("uq_dicom_pushes_instance_id_target", "instance_id", "target", unique=True),
        Index("ix_dicom_pushes_due_at", "due_at"),
        Index("ix_dicom_pushes_case_id", "case_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("dicom_instances.id", ondelete="CASCADE"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    target: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    attempt_count: Mapped[int] = mapped_column(default=0)
    failure_code: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class CrosswalkRow(Table):
    """What stands outside for a UID or a patient; it never leaves the database."""

    __tablename__ = "dicom_crosswalk"
    __table_args__ = (Index("uq_dicom_crosswalk_substitute", "substitute", unique=True),)

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    original: Mapped[str] = mapped_column(String(256), primary_key=True)
    substitute: Mapped[str] = mapped_column(_UID)
    made_at: Mapped[datetime]
