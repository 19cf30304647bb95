"""What the health routes give."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The service runs."""

    status: Literal["ok"] = "ok"


class PartState(BaseModel):
    """One part that the service needs to take scans in."""

    name: str = Field(examples=["engine"])
    is_ready: bool
    state: str = Field(examples=["ready"])
    reason: str = Field(description="Why it is not ready; else empty.", examples=[""])


class Readiness(BaseModel):
    """Whether scans are taken in and scored; 503 when one part is not ready."""

    is_ready: bool
    parts: list[PartState]
    live_bundle: str | None = Field(description="Digest of the live bundle.")
