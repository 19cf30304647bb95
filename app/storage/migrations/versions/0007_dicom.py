"""Create the index of DICOM objects; let a case grow after it was scored."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UID = sa.String(length=64)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Take the step."""
    _create_studies()
    _create_series()
    _create_instances()
    _add_editions()


def _create_studies() -> None:
    op.create_table(
        "dicom_studies",
        sa.Column("study_uid", UID, nullable=False),
        sa.Column("patient_id", sa.String(length=128), nullable=True),
        sa.Column("patient_name", sa.String(length=256), nullable=True),
        sa.Column("accession", sa.String(length=64), nullable=True),
        sa.Column("description", sa.String(length=256), nullable=True),
        sa.Column("study_date", sa.String(length=8), nullable=True),
        sa.Column("study_time", sa.String(length=16), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("study_uid", name="pk_dicom_studies"),
    )
    for name in ("patient_id", "accession"):
        op.create_index(f"ix_dicom_studies_{name}", "dicom_studies", [name])
    for name in ("study_date", "received_at"):
        op.create_index(f"ix_dicom_studies_{name}", "dicom_studies", [name, "study_uid"])


def _create_series() -> None:
    op.create_table(
        "dicom_series",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_uid", UID, nullable=False),
        sa.Column("series_uid", UID, nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("body_part", sa.String(length=64), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("sender_name", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("settle_at", INSTANT, nullable=True),
        _refer("dicom_series", "study_uid", "dicom_studies.study_uid", "RESTRICT"),
        _refer("dicom_series", "case_id", "cases.id", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_dicom_series"),
    )
    columns = ["study_uid", "series_uid"]
    op.create_index("uq_dicom_series_study_uid_series_uid", "dicom_series", columns, unique=True)
    for name in ("series_uid", "settle_at", "case_id"):
        op.create_index(f"ix_dicom_series_{name}", "dicom_series", [name])


def _create_instances() -> None:
    op.create_table(
        "dicom_instances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, UID, nullable=False) for name in ("study_uid", "series_uid", "sop_uid")),
        *(
            sa.Column(name, UID, nullable=False)
            for name in ("sop_class_uid", "transfer_syntax_uid")
        ),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in ("number", "rows", "columns")),
        sa.Column("frame_count", sa.Integer(), nullable=False),
        sa.Column("is_scan", sa.Boolean(), nullable=False),
        sa.Column("slice_header", DOCUMENT, nullable=True),
        sa.Column("sha256", UID, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        _refer("dicom_instances", "series_id", "dicom_series.id", "RESTRICT"),
        _refer("dicom_instances", "sha256", "blobs.sha256", "RESTRICT"),
        _refer("dicom_instances", "upload_id", "uploads.id", "SET NULL"),
        _refer("dicom_instances", "case_id", "cases.id", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_dicom_instances"),
    )
    op.create_index("uq_dicom_instances_sop_uid", "dicom_instances", ["sop_uid"], unique=True)
    columns = ["series_id", "number"]
    op.create_index("ix_dicom_instances_series_id_number", "dicom_instances", columns)
    for name in ("study_uid", "case_id", "sha256", "upload_id"):
        op.create_index(f"ix_dicom_instances_{name}", "dicom_instances", [name])


def _add_editions() -> None:
    for table in ("cases", "findings"):
        op.add_column(table, sa.Column("edition", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("findings", sa.Column("supersedes_id", sa.Uuid(), nullable=True))
    op.drop_index("uq_findings_case_id_bundle_digest", "findings")
    columns = ["case_id", "bundle_digest", "edition"]
    op.create_index("uq_findings_of_case", "findings", columns, unique=True)


def _refer(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{target.partition('.')[0]}"
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete=ondelete)
