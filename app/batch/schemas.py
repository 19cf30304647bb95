"""What the job routes take and give."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.batch.pace import estimate_left_s, measure_rate
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow, JobRow
from app.cases.schemas import CaseSelection, Digest, VerdictWord

_ID = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class RescoreBody(BaseModel):
    """Which cases to score again, under which bundle."""

    model_config = ConfigDict(extra="forbid")

    bundle: Digest = Field(examples=[_DIGEST])
    filter: CaseSelection = Field(
        default_factory=CaseSelection, description="As in the worklist; all cases by default."
    )
    is_dry_run: bool = Field(
        default=False, description="Tell which verdicts would change, and keep nothing else."
    )


class JobView(BaseModel):
    """A job; `done` + `failed` + `skipped` cases are settled."""

    id: UUID = Field(examples=[_ID])
    kind: Literal["rescore"]
    status: JobState = Field(examples=["running"])
    bundle: str = Field(examples=[_DIGEST])
    filter: CaseSelection
    is_dry_run: bool
    total: int = Field(examples=[1200])
    done: int = Field(description="Scored by this job.", examples=[480])
    failed: int = Field(description="Cannot be scored; see its failures.", examples=[1])
    skipped: int = Field(
        description="Nothing to score: the bundle said it before, or the case is gone or grows.",
        examples=[12],
    )
    flips: int = Field(description="Cases whose verdict changes.", examples=[7])
    rate_per_s: float | None = Field(examples=[35.2])
    left_s: float | None = Field(description="Estimated.", examples=[20.1])
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    created_by: str = Field(examples=["user:0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"])
    reason: str = Field(description="Why it failed; else empty.", examples=[""])

    @classmethod
    def build(cls, row: JobRow, now: datetime) -> Self:
        """Show a job as it is at this moment."""
        return cls(
            id=row.id,
            kind="rescore",
            status=JobState(row.state),
            bundle=row.bundle_digest,
            filter=CaseSelection.model_validate(row.selection),
            is_dry_run=row.is_dry_run,
            total=row.total_count,
            done=row.done_count,
            failed=row.failed_count,
            skipped=row.skipped_count,
            flips=row.flip_count,
            rate_per_s=measure_rate(row, now),
            left_s=estimate_left_s(row, now),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            created_by=row.created_by,
            reason=row.reason,
        )


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    items: list[JobView]
    next_cursor: str | None = Field(
        description="To ask for the next page by; null on the last.", examples=[None]
    )


class VerdictView(BaseModel):
    """What a bundle says of a case, in short."""

    bundle: str = Field(examples=[_DIGEST])
    verdict: VerdictWord = Field(examples=["anomalous"])
    score: float | None = Field(examples=[3.41])
    p_value: float | None = Field(examples=[0.004])


class FlipView(BaseModel):
    """A case whose verdict changes."""

    case: UUID = Field(examples=[_ID])
    before: VerdictView
    after: VerdictView

    @classmethod
    def of(cls, row: FlipRow) -> Self:
        """Show a row."""
        before = {"bundle": row.before_bundle, "verdict": row.before_verdict}
        after = {"bundle": row.after_bundle, "verdict": row.after_verdict}
        return cls.model_validate(
            {
                "case": row.case_id,
                "before": before | {"score": row.before_score, "p_value": row.before_p_value},
                "after": after | {"score": row.after_score, "p_value": row.after_p_value},
            }
        )


class FlipList(BaseModel):
    """A page of changing verdicts."""

    items: list[FlipView]
    next_cursor: str | None = Field(examples=[None])

    @classmethod
    def build(cls, rows: Sequence[FlipRow], limit: int) -> Self:
        """Show a page, of which one row too many was read."""
        return cls(items=[FlipView.of(row) for row in rows[:limit]], next_cursor=_next(rows, limit))


class FailureView(BaseModel):
    """A case that cannot be scored."""

    case: UUID = Field(examples=[_ID])
    code: str = Field(description="Code word of an error.", examples=["corrupt_scan"])


class FailureList(BaseModel):
    """A page of failures."""

    items: list[FailureView]
    next_cursor: str | None = Field(examples=[None])

    @classmethod
    def build(cls, rows: Sequence[FailureRow], limit: int) -> Self:
        """Show a page, of which one row too many was read."""
        items = [FailureView(case=row.case_id, code=row.code) for row in rows[:limit]]
        return cls(items=items, next_cursor=_next(rows, limit))


def _next(rows: Sequence[FlipRow] | Sequence[FailureRow], limit: int) -> str | None:
    return rows[limit - 1].case_id.hex if len(rows) > limit else None
