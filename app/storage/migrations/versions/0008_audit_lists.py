"""Index the audit trail by who, what and when."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    for column in ("actor", "action", "at"):
        op.create_index(f"ix_audit_entries_{column}", "audit_entries", [column, "sequence"])
