"""What the audit routes take and give."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.audit.repository import AuditFilter
from app.audit.service import Action
from app.audit.tables import AuditEntryRow

_ID = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# Ids only: what is asked for stands in the trail, where no name of a patient may be.
_ACTOR = r"^((key|user):[0-9a-f-]{36}|[a-z]{1,24})$"


def _add_zone(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Instant = Annotated[datetime, AfterValidator(_add_zone)]


class AuditSelection(BaseModel):
    """Which entries."""

    model_config = ConfigDict(extra="forbid")

    actor: Annotated[str, Field(pattern=_ACTOR)] | None = Field(
        default=None, description="Id of a key or user.", examples=[f"user:{_ID}"]
    )
    action: Action | None = Field(default=None, examples=["case_viewed"])
    case: UUID | None = Field(default=None, description="Entries about one case.", examples=[_ID])
    at_from: Instant | None = Field(default=None, examples=["2030-01-01T00:00:00Z"])
    at_before: Instant | None = Field(default=None, examples=["2030-02-01T00:00:00Z"])

    def build_filter(self) -> AuditFilter:
        """Give the filter of the queries."""
        return AuditFilter(
            actor=self.actor,
            action=self.action,
            subject=f"case:{self.case}" if self.case else None,
            at_from=self.at_from,
            at_before=self.at_before,
        )


class AuditQuery(AuditSelection):
    """Which entries, and which page of them."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, Field(pattern="^[0-9]{1,18}$")] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class AuditEntry(BaseModel):
    """One entry of the audit trail, bound to the one before it by its digest."""

    model_config = ConfigDict(from_attributes=True)

    sequence: int = Field(examples=[4711])
    at: datetime
    actor: str = Field(examples=[f"user:{_ID}"])
    action: str = Field(examples=["case_viewed"])
    subject: str = Field(examples=[f"case:{_ID}"])
    detail: dict[str, Any] = Field(examples=[{"what": "overlay"}])
    request_id: str | None = Field(description="The request that did it.")
    previous_sha256: str = Field(examples=[_DIGEST])
    sha256: str = Field(examples=[_DIGEST])

    @classmethod
    def of(cls, row: AuditEntryRow) -> Self:
        """Show a row."""
        return cls.model_validate(row)


class AuditList(BaseModel):
    """A page of the audit trail, the newest entry first."""

    items: list[AuditEntry]
    next_cursor: str | None = Field(
        description="To ask for the next page by; null on the last.", examples=["4661"]
    )
