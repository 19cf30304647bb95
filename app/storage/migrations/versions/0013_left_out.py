"""Keep which files of an upload are no part of a case, and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Take the step."""
    op.add_column("uploads", sa.Column("left_out", DOCUMENT, nullable=False, server_default="[]"))
