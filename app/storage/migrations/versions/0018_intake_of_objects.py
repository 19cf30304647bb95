"""Keep why a DICOM file over REST is not in the index, and the digest of what was not kept."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.add_column("instances", sa.Column("index_code", sa.String(64), nullable=True))
    op.add_column("uploads", sa.Column("sent_sha256", sa.String(64), nullable=True))
    op.create_index("ix_uploads_sent_sha256", "uploads", ["sent_sha256"])
