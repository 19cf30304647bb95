"""Queries of webhook deliveries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.webhooks.tables import DeliveryRow


class DeliveryRepository:
    """What is still to be told, inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, *rows: DeliveryRow) -> None:
        """Insert rows."""
        self.session.add_all(rows)
        self.session.flush()

    def claim_due(self, now: datetime, until: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Take deliveries that are due; nobody else sees them as due before `until`."""
        query = (
            select(DeliveryRow)
            .where(DeliveryRow.due_at <= now)
            .order_by(DeliveryRow.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = self.session.scalars(query).all()
        for row in rows:
            row.due_at = until
            row.attempt_count += 1
        self.session.flush()
        return rows

    def postpone(self, delivery_id: UUID, due_at: datetime) -> None:
        """Let a delivery wait."""
        row = self.session.get(DeliveryRow, delivery_id)
        if row is not None:
            row.due_at = due_at

    def forget(self, delivery_id: UUID) -> None:
        """Delete a delivery that was taken, or is given up."""
        self.session.execute(delete(DeliveryRow).where(DeliveryRow.id == delivery_id))
