"""Keep what a session searched the worklist for: it must stand in no address."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    text = sa.Column("search_text", sa.String(128), nullable=False, server_default="")
    op.add_column("sessions", text)
