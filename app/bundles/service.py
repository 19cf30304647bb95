"""The bundle registry: added, candidate, live, retired, rolled back; each change is audited.

The registry says which bundle shall be used. Whether it can be (digests, its own check) is found
out before it is registered, and again when the engine loads it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.audit.service import Action, Event, record_event
from app.bundles.repository import BundleRepository
from app.bundles.states import BundleState, check_move
from app.bundles.tables import BundleMoveRow, BundleRow
from app.errors import MoveNotAllowed

_ALONE = frozenset({BundleState.LIVE, BundleState.CANDIDATE})


@dataclass(frozen=True, slots=True)
class NewBundle:
    """A verified bundle; `summary` is what lists show of its manifest and card."""

    digest: str
    name: str
    summary: dict[str, Any]


def register_bundle(session: Session, new: NewBundle, by: str, at: datetime) -> BundleRow:
    """Enter a bundle; one that is known already stays as it is."""
    repository = BundleRepository(session)
    repository.lock()
    row = repository.find(new.digest)
    if row is None:
        row = BundleRow(
            digest=new.digest,
            name=new.name[:128],
            state=BundleState.ADDED,
            summary=new.summary,
            added_at=at,
            added_by=by,
        )
        repository.add(row)
        record_event(session, Event(by, Action.BUNDLE_ADDED, f"bundle:{new.digest}", {}), at)
    return row


def move_bundle(session: Session, digest: str, to: BundleState, by: str, at: datetime) -> BundleRow:
    """Bring a bundle into another state; the one it takes the place of retires.

    Raises:
        BundleNotRegistered: there is none with this digest.
        MoveNotAllowed: there is no way from its present state.
    """
    repository = BundleRepository(session)
    repository.lock()
    row = repository.get(digest)
    if row.state == to:
        return row
    check_move(BundleState(row.state), to)
    if to in _ALONE:
        _retire_present(repository, to, by, at)
    _enter_state(repository, row, to, by, at)
    detail = {"state": to.value}
    record_event(session, Event(by, Action.BUNDLE_MOVED, f"bundle:{digest}", detail), at)
    return row


def roll_back(session: Session, by: str, at: datetime) -> BundleRow:
    """Make the bundle live again that was live before.

    Raises:
        MoveNotAllowed: no other bundle was ever live.
    """
    repository = BundleRepository(session)
    repository.lock()
    live = repository.find_in(BundleState.LIVE)
    before = None if live is None else repository.find_live_before(live.digest)
    if before is None:
        raise MoveNotAllowed("no other bundle was live before")
    return move_bundle(session, before, BundleState.LIVE, by, at)


def find_candidate(session: Session) -> str | None:
    """Give the digest of the bundle that scores beside the live one."""
    row = BundleRepository(session).find_in(BundleState.CANDIDATE)
    return row.digest if row else None


def _retire_present(
    repository: BundleRepository, state: BundleState, by: str, at: datetime
) -> None:
    present = repository.find_in(state)
    if present is not None:
        _enter_state(repository, present, BundleState.RETIRED, by, at)


def _enter_state(
    repository: BundleRepository, row: BundleRow, state: BundleState, by: str, at: datetime
) -> None:
    row.state = state
    repository.add(BundleMoveRow(digest=row.digest, state=state, at=at, by=by))
