"""Which process scores a case: one that claimed it, for as long as the process lives.

Each process that scores holds a lease of its own and renews it. A case names the process that has
it on its line. What a process leaves whose lease has run out is claimed by another, or by the next
start.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.cases.repository import CaseRepository
from app.cases.service import quarantine_case
from app.errors import PoisonScan
from app.storage.leases import forget_leases, hold_lease, list_leases

_PREFIX = "line:"
_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims how many cases; `before`: its own that changed since are being handed over."""

    owner: str
    limit: int
    before: datetime
    max_attempts: int


def renew_owner(session: Session, owner: str, at: datetime, life: timedelta) -> None:
    """Say that a process lives; what of others ran out long ago is forgotten."""
    hold_lease(session, _PREFIX + owner, at + life)
    forget_leases(session, _PREFIX, at - _KEPT)


def end_owner(session: Session, owner: str, at: datetime) -> None:
    """Say that a process ends: its cases are free."""
    hold_lease(session, _PREFIX + owner, at)


def list_claimable(
    session: Session, claim: Claim, on_line: Collection[UUID], at: datetime
) -> list[UUID]:
    """List queued cases that a process may claim, the oldest first; nothing is written."""
    alive = {name.removeprefix(_PREFIX) for name in list_leases(session, _PREFIX, at)}
    found = CaseRepository(session).list_free(
        claim.owner, alive - {claim.owner}, claim.before, claim.limit + len(on_line)
    )
    return [case_id for case_id in found if case_id not in on_line][: claim.limit]


def claim_cases(
    session: Session, claim: Claim, on_line: Collection[UUID], at: datetime
) -> list[UUID]:
    """Claim queued cases that no living process has on its line, and give them, oldest first.

    A case that several processes in a row left behind may be what ended them: it is set aside.
    """
    wanted = list_claimable(session, claim, on_line, at)
    locked = CaseRepository(session).lock_queued(wanted)
    alive = {name.removeprefix(_PREFIX) for name in list_leases(session, _PREFIX, at)}
    claimed = []
    for case_id in wanted:
        case = locked.get(case_id)
        if case is None or case.owner in alive - {claim.owner}:
            continue  # another was quicker
        case.attempt_count += case.owner not in {None, claim.owner}
        case.owner = claim.owner
        if case.attempt_count > claim.max_attempts:
            quarantine_case(session, case.id, PoisonScan().code, at)
        else:
            claimed.append(case_id)
    session.flush()
    return claimed
