"""Find a page of the worklist by modality inside one index."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_COLUMNS = ("modality_key", "rank_score", "id", "received_at", "state", "verdict", "review")
_FILTERS = ("modality", "site", "sender", "bundle_digest")


def upgrade() -> None:
    """Take the step."""
    key = sa.Column("modality_key", sa.String(16), nullable=False, server_default="")
    op.add_column("cases", key)
    op.execute("UPDATE cases SET modality_key = modality WHERE modality IS NOT NULL")
    op.create_index("ix_cases_by_modality", "cases", [*_COLUMNS, *_FILTERS])
