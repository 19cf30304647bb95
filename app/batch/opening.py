"""From settings to runners and an operator of jobs that are not started yet."""

from datetime import timedelta

from app.analysis.tasks import ScoringLine
from app.batch.executor import ExecutorLimits, LocalExecutor
from app.batch.operation import JobOperator
from app.batch.service import LeaseRules
from app.batch.tasks import JobRunner, RunnerRules
from app.bundles.folder import BundleFolder
from app.clock import Clock
from app.settings import Settings
from app.storage.opening import Storage

_IDLE_S = 1.0
# Live uploads keep the greater part of the queue's memory.
_QUEUE_SHARE = 4


def open_jobs(
    settings: Settings, storage: Storage, line: ScoringLine, bundles: BundleFolder, clock: Clock
) -> tuple[JobRunner, JobOperator]:
    """Put executor, runners and operator together."""
    limits = ExecutorLimits(
        max_scans=settings.batch_scans,
        max_px=settings.queue_pixels // _QUEUE_SHARE,
        decoder_count=max(1, settings.decoders - 1),  # one is left to uploads, where there are two
    )
    executor = LocalExecutor(storage, line.engine, line.decoders, bundles, limits)
    leases = LeaseRules(
        chunk_cases=settings.job_chunk_cases,
        lease=timedelta(seconds=settings.job_lease_s),
        max_attempts=settings.max_attempts,
    )
    runner = JobRunner(storage, executor, clock, RunnerRules(leases, _IDLE_S))
    return runner, JobOperator(storage, bundles, runner, clock)
