"""A re-scoring job as it is read: which cases, how far it is, how quickly it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.auth.permissions import Permission, Principal
from app.batch.schemas import JobView
from app.batch.states import ENDED
from app.cases.schemas import CaseSelection
from app.web.bundle_facts import BundleLibrary
from app.web.words import DECISIONS, STATES, VERDICTS, tell_age, tell_duration, tell_instant


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as it is read."""

    job: JobView
    bundle: str
    cases: str
    age: str
    settled: int
    is_ended: bool
    may_cancel: bool
    pace: str


def build_job(job: JobView, caller: Principal, library: BundleLibrary, now: datetime) -> JobLine:
    """Prepare a job for a list or its own page."""
    is_ended = job.status in ENDED
    return JobLine(
        job=job,
        bundle=library.name(job.bundle),
        cases=tell_selection(job.filter),
        age=tell_age(job.created_at, now),
        settled=job.done + job.failed + job.skipped,
        is_ended=is_ended,
        may_cancel=not is_ended and caller.may(Permission.RUN_JOBS),
        pace=_tell_pace(job),
    )


def tell_selection(chosen: CaseSelection) -> str:
    """Tell in words which cases a job is about; what was searched for is not repeated."""
    parts = (
        ("", VERDICTS.get(chosen.verdict or "")),
        ("", STATES.get(chosen.status or "")),
        ("", DECISIONS.get(chosen.review or "")),
        ("modality ", chosen.modality),
        ("site ", chosen.site),
        ("scored under ", (chosen.bundle or "")[:12]),
        ("sent by ", chosen.sender),
        ("received from ", chosen.received_from and tell_instant(chosen.received_from)),
        ("received before ", chosen.received_before and tell_instant(chosen.received_before)),
        ("found by a search", chosen.text and " "),
    )
    said = [f"{name}{value}".strip() for name, value in parts if value]
    return ", ".join(said) or "All cases"


def _tell_pace(job: JobView) -> str:
    parts: Sequence[str] = (
        f"{job.rate_per_s:.1f} cases a second" if job.rate_per_s else "",
        f"{tell_duration(job.left_s)} left" if job.left_s else "",
    )
    return ", ".join(part for part in parts if part)
