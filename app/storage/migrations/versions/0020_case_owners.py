"""Keep which process has a case on its scoring line."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.add_column("cases", sa.Column("owner", sa.String(16)))
