"""Find the cases of one patient; let flagged cases stand first."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_index("ix_cases_patient_id", "cases", ["patient_id"])
    op.execute("UPDATE cases SET rank_score = rank_score + 2.0e6 WHERE verdict = 'anomalous'")
    op.execute(
        "UPDATE cases SET rank_score = COALESCE(score, -4.0e5) + 1.0e6 "
        "WHERE verdict = 'indeterminate'"
    )
