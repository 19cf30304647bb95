"""What the bundle routes give."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from app.bundles.states import BundleState
from app.bundles.tables import BundleRow

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class BundleView(BaseModel):
    """A bundle that the service knows."""

    model_config = ConfigDict(from_attributes=True)

    digest: str = Field(examples=[_DIGEST])
    name: str = Field(examples=["demo"])
    state: BundleState = Field(examples=["live"])
    summary: dict[str, Any] = Field(
        description="What its manifest says of it.", examples=[{"network": "denoising_unet"}]
    )
    added_at: datetime
    added_by: str = Field(examples=["user:0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"])

    @classmethod
    def of(cls, row: BundleRow) -> Self:
        """Show a row."""
        return cls.model_validate(row)


class BundleList(BaseModel):
    """All bundles, the newest first."""

    items: list[BundleView]


class ReportReceipt(BaseModel):
    """An evaluation report that is kept."""

    digest: str = Field(description="Of its bundle.", examples=[_DIGEST])
    added_at: datetime


class BundleCard(BaseModel):
    """The human page of a bundle."""

    digest: str = Field(examples=[_DIGEST])
    markdown: str = Field(examples=["# demo"])
