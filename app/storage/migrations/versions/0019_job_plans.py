"""Keep how far a job is planned."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.add_column("jobs", sa.Column("plan_after", sa.Uuid()))
    op.add_column("jobs", sa.Column("plan_last", sa.Uuid()))
