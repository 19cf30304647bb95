"""Keep a coarse picture of what was redrawn, by which like cases are found."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.add_column("findings", sa.Column("likeness", sa.LargeBinary(), nullable=True))
