"""How quickly a job goes: marks of the last commits, and what they say of the rest."""

from datetime import datetime

from app.batch.states import ENDED, JobState
from app.batch.tables import JobRow

_MARKS = 24


def count_settled(job: JobRow) -> int:
    """Count the cases that are scored, failed or skipped."""
    return job.done_count + job.failed_count + job.skipped_count


def note_pace(job: JobRow, at: datetime) -> None:
    """Note how far a job is; old marks are forgotten, so that a pause is too."""
    job.pace = [*job.pace, [at.isoformat(), count_settled(job)]][-_MARKS:]


def measure_rate(job: JobRow, now: datetime) -> float | None:
    """Give cases a second: of the last commits while it runs, of the whole job once it ended."""
    if not job.pace or job.started_at is None:
        return None
    if JobState(job.state) in ENDED:
        since, settled, until = job.started_at, count_settled(job), job.finished_at or now
    else:
        since, until = datetime.fromisoformat(job.pace[0][0]), now
        settled = count_settled(job) - job.pace[0][1]
    seconds = (until - since).total_seconds()
    return settled / seconds if settled and seconds > 0 else None


def estimate_left_s(job: JobRow, now: datetime) -> float | None:
    """Give the seconds that the rest will take at the present rate."""
    if JobState(job.state) in ENDED:
        return 0.0
    rate = measure_rate(job, now)
    return None if rate is None else (job.total_count - count_settled(job)) / rate
