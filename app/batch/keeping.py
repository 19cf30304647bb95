"""What came of a chunk to findings, flips, failures and counts, all in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.analysis.keeper import Announce
from app.batch.orders import Lease, ScoredCase
from app.batch.repository import JobRepository
from app.batch.service import end_chunk
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow, JobRow
from app.bundles.repository import BundleRepository
from app.bundles.states import BundleState
from app.cases.orders import NewFinding
from app.cases.repository import CaseRepository
from app.cases.service import keep_finding, move_case, show_finding
from app.cases.states import CaseState
from app.cases.tables import CaseRow, FindingRow
from app.errors import PoisonScan
from app.storage.blobs import BlobStore
from app.storage.service import register_blob

_GOING_ON = frozenset({JobState.RUNNING, JobState.CANCELLING})


@dataclass(frozen=True, slots=True)
class _Setting:
    """What holds for all cases of one chunk; `is_shown`: the cases show what is found."""

    session: Session
    job: JobRow
    at: datetime
    is_shown: bool
    announcers: Sequence[Announce]


def choose_cases(session: Session, lease: Lease) -> tuple[UUID, ...]:
    """Give the cases of a chunk that are to be examined, in their order."""
    query = CaseRepository(session)
    cases = query.find_cases(lease.case_ids)
    known = _find_known(query, lease, cases)
    return tuple(
        case_id
        for case_id in lease.case_ids
        if case_id in cases and case_id not in known and _can_be_examined(cases[case_id])
    )


def keep_chunk(
    session: Session,
    store: BlobStore,
    lease: Lease,
    scored: Sequence[ScoredCase],
    at: datetime,
    announcers: Sequence[Announce] = (),
) -> bool:
    """Keep what came of a chunk, and tell whether the lease still held; else nothing changes.

    Args:
        session: of one transaction.
        store: where the maps are.
        lease: of the chunk.
        scored: what came of its cases.
        at: when.
        announcers: called for each case that shows another verdict from now on, or its first.

    Raises:
        BlobNotFound: the collector took a map in between; score the chunk again.
    """
    repository = JobRepository(session)
    job = repository.lock(lease.job_id)
    chunk = repository.find_leased(lease)
    if chunk is None or job.state not in _GOING_ON:
        return False
    query = CaseRepository(session)
    cases = query.lock_cases(lease.case_ids)
    known = _find_known(query, lease, cases)
    answers = {each.case_id: each for each in scored if each.case_id in cases}
    for blob in sorted(
        {b for each in answers.values() for b in each.blobs}, key=lambda b: b.sha256
    ):
        register_blob(session, store, blob, at)
    live = BundleRepository(session).find_in(BundleState.LIVE)
    is_live = live is not None and live.digest == lease.bundle_digest
    setting = _Setting(session, job, at, is_live and not lease.is_dry_run, announcers)
    for case_id in lease.case_ids:
        _settle(setting, cases.get(case_id), known.get(case_id), answers.get(case_id))
    end_chunk(session, job, chunk, at)
    return True


def _find_known(
    query: CaseRepository, lease: Lease, cases: Mapping[UUID, CaseRow]
) -> dict[UUID, FindingRow]:
    """Find what the bundle has said of the cases as they are now."""
    found = query.find_findings(lease.case_ids, lease.bundle_digest)
    return {
        case_id: row
        for case_id, row in found.items()
        if case_id in cases and row.edition == cases[case_id].edition
    }


def _can_be_examined(case: CaseRow) -> bool:
    """Leave alone what is not complete, and what ended a process before."""
    is_poison = case.state == CaseState.QUARANTINED and case.failure_code == PoisonScan().code
    return case.state != CaseState.RECEIVING and not is_poison


def _settle(
    setting: _Setting, case: CaseRow | None, known: FindingRow | None, answer: ScoredCase | None
) -> None:
    job = setting.job
    if case is not None and known is not None:
        job.skipped_count += 1
        _note_flip(setting, case, known)
        if setting.is_shown and case.state != CaseState.QUARANTINED:
            before = case.verdict
            show_finding(setting.session, case, known, setting.at)
            _announce(setting, case, known, before)
    elif case is None or case.state == CaseState.RECEIVING:
        job.skipped_count += 1
    elif answer is not None and answer.finding is not None:
        job.done_count += 1
        _note_flip(setting, case, answer.finding)
        _keep(setting, case, answer.finding)
    elif answer is not None or case.state == CaseState.QUARANTINED:
        code = answer.failure_code if answer else case.failure_code or PoisonScan().code
        job.failed_count += 1
        JobRepository(setting.session).add(
            FailureRow(job_id=job.id, case_id=case.id, code=code[:64])
        )
    else:
        job.skipped_count += 1  # completed since the chunk was begun


def _keep(setting: _Setting, case: CaseRow, finding: NewFinding) -> None:
    if setting.job.is_dry_run:
        return
    if setting.is_shown and case.state == CaseState.QUARANTINED:
        move_case(case, CaseState.QUEUED, setting.at)  # it can be scored after all
    new, before = replace(finding, job_id=setting.job.id), case.verdict
    row = keep_finding(setting.session, case.id, new, setting.at, is_shown=setting.is_shown)
    if setting.is_shown:
        _announce(setting, case, row, before)


def _announce(setting: _Setting, case: CaseRow, row: FindingRow, before: str | None) -> None:
    """Tell a verdict that the case shows since this moment; the same one again is no news."""
    if case.bundle_digest == row.bundle_digest and case.verdict != before:
        for announce in setting.announcers:
            announce(setting.session, case, row)


def _note_flip(setting: _Setting, case: CaseRow, after: NewFinding | FindingRow) -> None:
    if case.verdict is None or case.bundle_digest is None or case.verdict == after.verdict:
        return
    setting.job.flip_count += 1
    row = FlipRow(
        job_id=setting.job.id,
        case_id=case.id,
        before_bundle=case.bundle_digest,
        before_verdict=case.verdict,
        before_score=case.score,
        before_p_value=case.p_value,
        after_bundle=after.bundle_digest,
        after_verdict=after.verdict,
        after_score=after.score,
        after_p_value=after.p_value,
    )
    JobRepository(setting.session).add(row)
