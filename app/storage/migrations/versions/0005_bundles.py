"""Create the tables of the bundle registry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Take the step."""
    _create_bundles()
    _create_bundle_moves()


def _create_bundles() -> None:
    op.create_table(
        "bundles",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("summary", DOCUMENT, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_bundles"),
    )
    op.create_index(
        "uq_bundles_candidate",
        "bundles",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'candidate'"),
        postgresql_where=sa.text("state = 'candidate'"),
    )
    op.create_index(
        "uq_bundles_live",
        "bundles",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )


def _create_bundle_moves() -> None:
    op.create_table(
        "bundle_moves",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["bundles.digest"], name="fk_bundle_moves_digest_bundles"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_bundle_moves"),
    )
    op.create_index("ix_bundle_moves_digest", "bundle_moves", ["digest"])
