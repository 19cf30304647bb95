"""Create the tables of DICOM results: what is to be made, to be sent, and under which names."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Take the step."""
    _create_reports()
    _create_pushes()
    _create_crosswalk()


def _create_reports() -> None:
    op.create_table(
        "dicom_reports",
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("object_count", sa.Integer(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("finding_id", name="pk_dicom_reports"),
        sa.ForeignKeyConstraint(
            ["finding_id"], ["findings.id"], "fk_dicom_reports_finding_id_findings",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], "fk_dicom_reports_case_id_cases", ondelete="CASCADE"
        ),
    )  # fmt: skip
    op.create_index("ix_dicom_reports_due_at", "dicom_reports", ["due_at"])
    op.create_index("ix_dicom_reports_case_id", "dicom_reports", ["case_id"])


def _create_pushes() -> None:
    op.create_table(
        "dicom_pushes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dicom_pushes"),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["dicom_instances.id"],
            "fk_dicom_pushes_instance_id_dicom_instances", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], "fk_dicom_pushes_case_id_cases", ondelete="CASCADE"
        ),
    )  # fmt: skip
    op.create_index(
        "uq_dicom_pushes_instance_id_target", "dicom_pushes", ["instance_id", "target"], unique=True
    )
    op.create_index("ix_dicom_pushes_due_at", "dicom_pushes", ["due_at"])
    op.create_index("ix_dicom_pushes_case_id", "dicom_pushes", ["case_id"])


def _create_crosswalk() -> None:
    op.create_table(
        "dicom_crosswalk",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("original", sa.String(length=256), nullable=False),
        sa.Column("substitute", sa.String(length=64), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "original", name="pk_dicom_crosswalk"),
    )
    op.create_index("uq_dicom_crosswalk_substitute", "dicom_crosswalk", ["substitute"], unique=True)
