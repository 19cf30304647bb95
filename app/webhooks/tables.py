"""The table of what webhooks are still to be told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables import Table


class DeliveryRow(Table):
    """One message to one address, kept until it was taken or given up."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_due_at", "due_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(2048))
    event: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempt_count: Mapped[int] = mapped_column(default=0)
