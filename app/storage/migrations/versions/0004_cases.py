"""Create the tables of cases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Take the step."""
    _create_uploads()
    _create_cases()
    _index_cases()
    _create_instances()
    _create_findings()
    _create_reviews()
    _create_case_terms()


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["blobs.sha256"], name="fk_uploads_sha256_blobs", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_sha256", "uploads", ["sha256"])
    op.create_index(
        "uq_uploads_sender_idempotency_key", "uploads", ["sender", "idempotency_key"], unique=True
    )
    op.create_index("uq_uploads_sender_sha256", "uploads", ["sender", "sha256"], unique=True)


def _create_cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("sender_name", sa.String(length=128), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("site", sa.String(length=64), nullable=True),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("body_part", sa.String(length=64), nullable=True),
        sa.Column("device", sa.String(length=128), nullable=True),
        sa.Column("slice_count", sa.Integer(), nullable=True),
        sa.Column("patient_id", sa.String(length=128), nullable=True),
        sa.Column("patient_name", sa.String(length=256), nullable=True),
        sa.Column("accession", sa.String(length=64), nullable=True),
        sa.Column("description", sa.String(length=256), nullable=True),
        sa.Column("study_uid", sa.String(length=64), nullable=True),
        sa.Column("series_uid", sa.String(length=64), nullable=True),
        sa.Column("tags", DOCUMENT, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("rank_score", sa.Double(), nullable=False),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("bundle_digest", sa.String(length=64), nullable=True),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review", sa.String(length=16), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
    )


def _index_cases() -> None:
    op.create_index(
        "ix_cases_by_score",
        "cases",
        [
            "rank_score",
            "id",
            "received_at",
            "state",
            "verdict",
            "review",
            "modality",
            "site",
            "sender",
            "bundle_digest",
        ],
    )
    op.create_index(
        "ix_cases_by_time",
        "cases",
        [
            "received_at",
            "id",
            "state",
            "verdict",
            "review",
            "modality",
            "site",
            "sender",
            "bundle_digest",
        ],
    )
    op.create_index("ix_cases_series_uid", "cases", ["series_uid"])
    op.create_index("ix_cases_state", "cases", ["state", "received_at"])
    op.create_index("ix_cases_study_uid", "cases", ["study_uid"])


def _create_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=True),
        sa.Column("sop_uid", sa.String(length=64), nullable=True),
        sa.Column("label", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_instances_case_id_cases", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["blobs.sha256"], name="fk_instances_sha256_blobs", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["uploads.id"],
            name="fk_instances_upload_id_uploads",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
    )
    op.create_index("ix_instances_sha256", "instances", ["sha256"])
    op.create_index("ix_instances_sop_uid", "instances", ["sop_uid"])
    op.create_index("ix_instances_upload_id", "instances", ["upload_id"])
    op.create_index(
        "uq_instances_case_id_position", "instances", ["case_id", "position"], unique=True
    )
    op.create_index("uq_instances_case_id_sha256", "instances", ["case_id", "sha256"], unique=True)


def _create_findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("bundle_digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("reason", sa.String(length=256), nullable=False),
        sa.Column("domain_distance", sa.Double(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("head_scores", DOCUMENT, nullable=False),
        sa.Column("slice_scores", DOCUMENT, nullable=False),
        sa.Column("instance_verdicts", DOCUMENT, nullable=False),
        sa.Column("regions", DOCUMENT, nullable=False),
        sa.Column("error_map_sha256", sa.String(length=64), nullable=True),
        sa.Column("reconstruction_sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_findings_case_id_cases", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["error_map_sha256"],
            ["blobs.sha256"],
            name="fk_findings_error_map_sha256_blobs",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["reconstruction_sha256"],
            ["blobs.sha256"],
            name="fk_findings_reconstruction_sha256_blobs",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
    )
    op.create_index("ix_findings_bundle_digest_made_at", "findings", ["bundle_digest", "made_at"])
    op.create_index("ix_findings_error_map_sha256", "findings", ["error_map_sha256"])
    op.create_index("ix_findings_job_id", "findings", ["job_id"])
    op.create_index("ix_findings_reconstruction_sha256", "findings", ["reconstruction_sha256"])
    op.create_index(
        "uq_findings_case_id_bundle_digest", "findings", ["case_id", "bundle_digest"], unique=True
    )


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.String(length=64), nullable=False),
        sa.Column("reviewer_name", sa.String(length=128), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_reviews_case_id_cases", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["finding_id"],
            ["findings.id"],
            name="fk_reviews_finding_id_findings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_case_id_made_at", "reviews", ["case_id", "made_at"])
    op.create_index("ix_reviews_finding_id", "reviews", ["finding_id"])


def _create_case_terms() -> None:
    op.create_table(
        "case_terms",
        sa.Column(
            "term",
            sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_case_terms_case_id_cases", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("term", "case_id", name="pk_case_terms"),
    )
    op.create_index("ix_case_terms_case_id_term", "case_terms", ["case_id", "term"])
