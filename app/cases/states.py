"""States of a case and of its review, a sentence a member, with the allowed moves beside them."""

from enum import StrEnum

from app.errors import MoveNotAllowed


class CaseState(StrEnum):
    """Where a case stands on the road."""

    RECEIVING = "receiving"
    """Slices of its series may still come."""
    QUEUED = "queued"
    """It is complete and waits to be scored, or to be scored again after a crash."""
    SCORED = "scored"
    """It has a finding that is shown."""
    QUARANTINED = "quarantined"
    """It cannot be scored; `failure_code` says why."""


MOVES: dict[CaseState, frozenset[CaseState]] = {
    CaseState.RECEIVING: frozenset({CaseState.QUEUED, CaseState.QUARANTINED}),
    CaseState.QUEUED: frozenset({CaseState.SCORED, CaseState.QUARANTINED, CaseState.RECEIVING}),
    CaseState.SCORED: frozenset({CaseState.SCORED, CaseState.RECEIVING, CaseState.QUEUED}),
    CaseState.QUARANTINED: frozenset({CaseState.QUEUED, CaseState.RECEIVING}),
}


class ReviewState(StrEnum):
    """What people said of the finding that is shown."""

    NONE = "none"
    """Nobody said anything, or it was undone, or the verdict has changed since."""
    CONFIRMED = "confirmed"
    """The verdict is right."""
    DISMISSED = "dismissed"
    """The verdict is wrong."""
    UNSURE = "unsure"
    """Somebody looked and could not say."""


class Channel(StrEnum):
    """How a scan came in."""

    REST = "rest"
    DICOMWEB = "dicomweb"
    DIMSE = "dimse"


def check_move(before: CaseState, after: CaseState) -> None:
    """Let a case go from one state to another.

    Raises:
        MoveNotAllowed: there is no such way.
    """
    if after not in MOVES[before]:
        raise MoveNotAllowed(f"a case that is {before} cannot become {after}")
