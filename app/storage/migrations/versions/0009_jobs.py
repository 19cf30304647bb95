"""Create the tables of jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
DIGEST = sa.String(length=64)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Take the step."""
    _create_jobs()
    _create_chunks()
    _create_flips()
    _create_failures()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bundle_digest", DIGEST, nullable=False),
        sa.Column("selection", DOCUMENT, nullable=False),
        sa.Column("is_dry_run", sa.Boolean(), nullable=False),
        sa.Column("total_count", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("skipped_count", sa.Integer(), nullable=False),
        sa.Column("flip_count", sa.Integer(), nullable=False),
        sa.Column("pace", DOCUMENT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["bundle_digest"], ["bundles.digest"], name="fk_jobs_bundle_digest_bundles"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])


def _create_chunks() -> None:
    op.create_table(
        "job_chunks",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_ids", DOCUMENT, nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=True),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        _refer_to_job("job_chunks"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_chunks"),
    )


def _create_flips() -> None:
    op.create_table(
        "job_flips",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("before_bundle", DIGEST, nullable=False),
        sa.Column("before_verdict", sa.String(length=16), nullable=False),
        sa.Column("before_score", sa.Double(), nullable=True),
        sa.Column("before_p_value", sa.Double(), nullable=True),
        sa.Column("after_bundle", DIGEST, nullable=False),
        sa.Column("after_verdict", sa.String(length=16), nullable=False),
        sa.Column("after_score", sa.Double(), nullable=True),
        sa.Column("after_p_value", sa.Double(), nullable=True),
        _refer_to_case("job_flips"),
        _refer_to_job("job_flips"),
        sa.PrimaryKeyConstraint("job_id", "case_id", name="pk_job_flips"),
    )
    op.create_index("ix_job_flips_case_id", "job_flips", ["case_id"])


def _create_failures() -> None:
    op.create_table(
        "job_failures",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        _refer_to_case("job_failures"),
        _refer_to_job("job_failures"),
        sa.PrimaryKeyConstraint("job_id", "case_id", name="pk_job_failures"),
    )
    op.create_index("ix_job_failures_case_id", "job_failures", ["case_id"])


def _refer_to_job(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_job_id_jobs"
    return sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=name, ondelete="CASCADE")


def _refer_to_case(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_case_id_cases"
    return sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=name, ondelete="CASCADE")
